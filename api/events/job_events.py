"""Streams a job's events: replays stored events, follows new ones and ends with the job."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from api.db.models import Job
from api.events.frames import StoredEvent, end_frame
from api.events.hub import EventHub
from api.events.queries import BATCH
from api.events.sse_response import HEARTBEAT, EventStream
from api.events.subscription import Gone, Subscription
from api.schemas.jobs import Status


def job_stream(hub: EventHub, job: Job, after: int) -> EventStream:
    """The response that streams the job's events after a sequence."""
    return EventStream(hub, lambda subscription: _follow(hub, subscription, job, after), job.id)


async def _follow(hub: EventHub, subscription: Subscription, job: Job, last: int) -> AsyncGenerator[bytes, None]:
    """Yield every event after `last` once and in order, then the end event when the job has ended.

    The subscription precedes the replay, so an event stored in between arrives twice; its sequence filters the second.
    """
    if last > job.last_sequence:
        # A sequence that does not exist yet comes from another job or a mistake; no event may be skipped for it.
        last = min(last, await hub.log.last_sequence(job.id))
    # Consistent with the last sequence read in the same row; later events update it.
    status = job.status
    more = True
    while more:
        stored = await hub.log.read(job.id, last)
        if stored:
            yield b"".join([event.frame for event in stored])
            last, status = stored[-1].sequence, _status_after(stored, status)
        subscription.check()
        more = len(stored) == BATCH
    while not status.ended:
        news = await subscription.take()
        if new := [event for event in news if isinstance(event, StoredEvent) and event.sequence > last]:
            yield b"".join([event.frame for event in new])
            last, status = new[-1].sequence, _status_after(new, status)
        elif not news:
            yield HEARTBEAT
        if any(isinstance(told, Gone) for told in news):
            break
    yield end_frame(last, status)


def _status_after(events: list[StoredEvent], before: Status) -> Status:
    told = [event.status for event in events if event.status is not None]
    return told[-1] if told else before
