"""Many jobs' events in one stream: a browser has six connections to a host, and one is enough."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from uuid import UUID

from fastapi.sse import ServerSentEvent

from api.events.hub import EventHub, Gone, SlowReaderError, Stirred, Subscription
from api.models import Event
from api.problems import invalid_query
from api.schemas.jobs import Status

# Every event's id names the place in each job: this bounds how long it gets.
MOST_JOBS: Final = 200
_PLACE: Final = struct.Struct(">16sQ")


class Places:
    """How far a reader is in each job. As text it is the `id` of the stream's events, which only this class reads."""

    def __init__(self, places: Mapping[UUID, int]) -> None:
        self._places = dict(places)

    @classmethod
    def parse(cls, text: str) -> Places:
        """Raises ProblemError 422 for what is no such id."""
        try:
            content = base64.b64decode(text, b"-_", validate=True)
            return cls({UUID(bytes=job): sequence for job, sequence in _PLACE.iter_unpack(content)})
        except (binascii.Error, struct.error, ValueError) as error:
            raise invalid_query("after", "is no id of this stream's events: leave it out to begin now") from error

    def __str__(self) -> str:
        packed = b"".join(_PLACE.pack(job.bytes, sequence) for job, sequence in self._places.items())
        return base64.urlsafe_b64encode(packed).decode()

    def items(self) -> list[tuple[UUID, int]]:
        """Jobs with the sequences up to which they were read."""
        return list(self._places.items())


async def follow_jobs(hub: EventHub, places: Places) -> AsyncIterator[ServerSentEvent]:
    """Events of these jobs behind their places, each once and in the job's order; `end` once for each that ends.

    The stream closes when all have ended.
    """
    async with hub.subscribe() as subscription:
        reading = _Reading(hub, subscription, places)
        for job_id, after in places.items():
            async for event in reading.begin(job_id, after):
                yield event
        while reading.last:
            try:
                news = await subscription.next()
            except SlowReaderError:
                return
            if not isinstance(news, Stirred):
                for event in reading.take(news):
                    yield event


async def follow_active(hub: EventHub, places: Places | None) -> AsyncIterator[ServerSentEvent]:
    """Events of every job that has not ended, from now on; of a job that comes along, from when it was queued.

    places: where an earlier stream stopped; what happened since comes first.
    """
    async with hub.subscribe(overhear=True) as subscription:
        reading = _Reading(hub, subscription, places or Places({}))
        for job_id, after in [] if places is None else places.items():
            async for event in reading.begin(job_id, after):
                yield event
        for job_id in await hub.active(MOST_JOBS):
            if job_id in reading.last:
                continue
            begin = await hub.last_sequence(job_id) if places is None else await hub.queued_at(job_id)
            async for event in reading.begin(job_id, (begin or 1) - (places is not None)):
                yield event
        # Nobody has to wait for an event to know that the stream stands, and where it would go on.
        yield ServerSentEvent(event="ready", id=reading.places, data={"jobs": len(reading.last)})
        while True:
            try:
                news = await subscription.next()
            except SlowReaderError:
                return
            if not isinstance(news, Stirred):
                for event in reading.take(news):
                    yield event
                continue
            stirred = await hub.active(MOST_JOBS) if news.job_id is None else [news.job_id]
            for job_id in stirred:
                queued = None if job_id in reading.last else await hub.queued_at(job_id)
                if queued is not None and len(reading.last) < MOST_JOBS:
                    async for event in reading.begin(job_id, queued - 1):
                        yield event


class _Reading:
    """What one stream has sent of each job that it still follows."""

    def __init__(self, hub: EventHub, subscription: Subscription, places: Places) -> None:
        # All of them from the first event on: its id has to say that nothing of the others was sent yet.
        self.last = dict(places.items())
        self._hub, self._subscription = hub, subscription

    @property
    def places(self) -> str:
        return str(Places(self.last))

    async def begin(self, job_id: UUID, after: int) -> AsyncIterator[ServerSentEvent]:
        """Follow a job: what is stored behind `after`, before what comes."""
        await self._hub.join(self._subscription, job_id)
        self.last[job_id] = min(after, await self._hub.last_sequence(job_id))
        while stored := await self._hub.read(job_id, self.last[job_id]):
            for event in stored:
                self.last[job_id] = event.sequence
                yield self._event(event.kind, job_id, event.sequence, event.data)
        # Only now: an ended job may have been retried further on in what is stored.
        status = await self._hub.status_at(job_id, self.last[job_id])
        if status is None or Status(status).ended:
            yield self._end(job_id, status)

    def take(self, news: Event | Gone) -> list[ServerSentEvent]:
        """What has to be sent."""
        job_id = news.job_id
        if job_id not in self.last:
            return []
        if isinstance(news, Gone):
            return [self._end(job_id, None)]
        if news.sequence <= self.last[job_id]:
            return []
        self.last[job_id] = news.sequence
        sent = [self._event(news.kind, job_id, news.sequence, news.data)]
        if news.kind == "status" and Status(news.data["status"]).ended:
            sent.append(self._end(job_id, news.data["status"]))
        return sent

    def _end(self, job_id: UUID, status: str | None) -> ServerSentEvent:
        sequence = self.last.pop(job_id)
        self._hub.leave(self._subscription, job_id)
        return self._event("end", job_id, sequence, {"status": status})

    def _event(self, kind: str, job_id: UUID, sequence: int, data: dict[str, Any]) -> ServerSentEvent:
        told = {"job_id": str(job_id), "sequence": sequence, "data": data}
        return ServerSentEvent(event=kind, id=self.places, data=told)
