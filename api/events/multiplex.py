"""Many jobs' events in one stream: a browser has six connections to a host, and one is enough."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final
from uuid import UUID

from api.events.frames import StoredEvent, framed, named
from api.events.hub import EventHub
from api.events.queries import BATCH
from api.events.stream import HEARTBEAT, EventStream
from api.events.subscription import Gone, News, Stirred, Subscription
from api.http.problems import invalid_query
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


def jobs_stream(hub: EventHub, places: Places) -> EventStream:
    """Events of these jobs behind their places, each once and in the job's order; `end` once for each that ends.

    The stream closes when all have ended.
    """
    return EventStream(hub, lambda subscription: _follow_jobs(_Reading(hub, subscription, places)))


def active_stream(hub: EventHub, places: Places | None) -> EventStream:
    """Events of every job that has not ended, from now on; of a job that comes along, from when it was queued.

    places: where an earlier stream stopped; what happened since comes first.
    """
    return EventStream(
        hub,
        lambda subscription: _follow_active(hub, _Reading(hub, subscription, places or Places({})), places is not None),
        overhear=True,
    )


async def _follow_jobs(reading: _Reading) -> AsyncGenerator[bytes, None]:
    async for content in reading.begin_all():
        yield content
    while reading.last:
        news = await reading.subscription.take()
        if content := b"".join(map(reading.taken, news)):
            yield content
        elif not news:
            yield HEARTBEAT


async def _follow_active(hub: EventHub, reading: _Reading, resumed: bool) -> AsyncGenerator[bytes, None]:
    async for content in reading.begin_all():
        yield content
    for job_id in await hub.log.active(MOST_JOBS):
        if job_id in reading.last:
            continue
        begin = await hub.log.queued_at(job_id) if resumed else await hub.log.last_sequence(job_id)
        async for content in reading.begin(job_id, (begin or 1) - resumed):
            yield content
    # A reader knows at once that the stream is open and where it would resume.
    yield framed("ready", json.dumps({"jobs": len(reading.last)}).encode(), reading.places)
    while True:
        news = await reading.subscription.take()
        if not news:
            yield HEARTBEAT
        for told in news:
            if not isinstance(told, Stirred):
                if content := reading.taken(told):
                    yield content
                continue
            stirred = await hub.log.active(MOST_JOBS) if told.job_id is None else [told.job_id]
            for job_id in stirred:
                queued = None if job_id in reading.last else await hub.log.queued_at(job_id)
                if queued is not None and len(reading.last) < MOST_JOBS:
                    async for content in reading.begin(job_id, queued - 1):
                        yield content


class _Reading:
    """What one stream has sent of each job that it still follows."""

    def __init__(self, hub: EventHub, subscription: Subscription, places: Places) -> None:
        # All of them from the first event on: its id has to say that nothing of the others was sent yet.
        self.last = dict(places.items())
        self.subscription = subscription
        self._hub = hub

    @property
    def places(self) -> str:
        return str(Places(self.last))

    async def begin_all(self) -> AsyncIterator[bytes]:
        """Follow the jobs that it was made with, from their places on."""
        for job_id, after in tuple(self.last.items()):
            async for content in self.begin(job_id, after):
                yield content

    async def begin(self, job_id: UUID, after: int) -> AsyncIterator[bytes]:
        """Follow a job: what is stored behind `after`, before what comes."""
        await self._hub.join(self.subscription, job_id)
        self.last[job_id] = min(after, await self._hub.log.last_sequence(job_id))
        more = True
        while more:
            stored = await self._hub.log.read(job_id, self.last[job_id])
            if stored:
                yield b"".join(map(self._sent, stored))
            more = len(stored) == BATCH
        # Only now: an ended job may have been retried further on in what is stored.
        status = await self._hub.log.status_at(job_id, self.last[job_id])
        if status is None or Status(status).ended:
            yield self._end(job_id, status)

    def taken(self, news: News) -> bytes:
        """What has to be sent, if anything."""
        if isinstance(news, Stirred) or news.job_id not in self.last:
            return b""
        if isinstance(news, Gone):
            return self._end(news.job_id, None)
        if news.sequence <= self.last[news.job_id]:
            return b""
        sent = self._sent(news)
        if news.status is not None and news.status.ended:
            sent += self._end(news.job_id, news.status)
        return sent

    def _sent(self, event: StoredEvent) -> bytes:
        self.last[event.job_id] = event.sequence
        return framed(event.kind, event.named, self.places)

    def _end(self, job_id: UUID, status: str | None) -> bytes:
        sequence = self.last.pop(job_id)
        self._hub.leave(self.subscription, job_id)
        return framed("end", named(job_id, sequence, {"status": status}), self.places)
