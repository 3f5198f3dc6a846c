"""A job's events as a stream: replay what is stored, follow what comes, end when the job has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from fastapi.sse import ServerSentEvent

from api.events.hub import EventHub, Gone, SlowReaderError, Stirred
from api.models import Event
from api.schemas.jobs import Status


async def follow(hub: EventHub, job_id: UUID, after: int) -> AsyncIterator[ServerSentEvent]:
    """Every event behind `after`, each once and in order, then `end` when the job's life is over.

    Subscribing comes before replaying: what is stored in between arrives twice and is sent once, by its sequence.
    """
    status: Status | None = None
    async with hub.subscribe(job_id) as subscription:
        # A sequence that does not exist yet is another job's, or a mistake: nothing may be skipped for it.
        last = min(after, await hub.last_sequence(job_id))
        while events := await hub.read(job_id, last):
            for event in events:
                yield _sent(event)
                last, status = event.sequence, _status_after(event, status)
        if status is None and (stored := await hub.status_at(job_id, last)):
            # Who comes back with the last id of an ended job must see the end, too.
            status = Status(stored)
        while status is None or not status.ended:
            try:
                new = await subscription.next()
            except SlowReaderError:
                return
            if isinstance(new, Gone):
                break
            if not isinstance(new, Stirred) and new.sequence > last:
                yield _sent(new)
                last, status = new.sequence, _status_after(new, status)
    yield ServerSentEvent(event="end", id=str(last), data={"status": status})


def _sent(event: Event) -> ServerSentEvent:
    return ServerSentEvent(event=event.kind, id=str(event.sequence), data=event.data)


def _status_after(event: Event, before: Status | None) -> Status | None:
    return Status(event.data["status"]) if event.kind == "status" else before
