"""Streams the events of many jobs over one connection, since a browser opens only six per host."""

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
from api.events.sse_response import HEARTBEAT, EventStream
from api.events.subscription import Gone, JobChanged, News, Subscription
from api.http.problems import invalid_query
from api.schemas.jobs import Status

# Each event's id holds a sequence per job; this bounds its length. A stream follows any number of jobs.
PLACES_IN_AN_ID: Final = 200
_PLACE: Final = struct.Struct(">16sQ")


class Places:
    """A subscriber's sequence in each job, the job with the latest event last.

    The text form is the `id` of the stream's events, opaque to clients; it names the last PLACES_IN_AN_ID jobs.
    """

    def __init__(self, places: Mapping[UUID, int]) -> None:
        self._places = dict(places)

    @classmethod
    def parse(cls, text: str) -> Places:
        """Raises ProblemError 422 if the text is malformed."""
        try:
            content = base64.b64decode(text, b"-_", validate=True)
            return cls({UUID(bytes=job): sequence for job, sequence in _PLACE.iter_unpack(content)})
        except (binascii.Error, struct.error, ValueError) as error:
            raise invalid_query("after", "is not an event id of this stream: omit it to start from now") from error

    def __str__(self) -> str:
        latest = self.items()[-PLACES_IN_AN_ID:]
        packed = b"".join(_PLACE.pack(job.bytes, sequence) for job, sequence in latest)
        return base64.urlsafe_b64encode(packed).decode()

    def items(self) -> list[tuple[UUID, int]]:
        """The jobs with the last sequence read from each."""
        return list(self._places.items())


def jobs_stream(hub: EventHub, places: Places) -> EventStream:
    """Stream these jobs' events after their places, each once and in the job's order, with one `end` per ended job.

    The stream closes when all jobs have ended.
    """
    return EventStream(hub, lambda subscription: _follow_jobs(_Reading(hub, subscription, places)))


def active_stream(hub: EventHub, places: Places | None) -> EventStream:
    """Stream the events of every active job from now on; of a new job, from the event that queued it.

    places: where an earlier stream stopped; the events since then are replayed first. Of more active jobs than an id
    names, the others continue with the events from now on.
    """
    return EventStream(
        hub,
        lambda subscription: _follow_active(hub, _Reading(hub, subscription, places or Places({})), places is not None),
        all_jobs=True,
    )


async def _follow_jobs(reading: _Reading) -> AsyncGenerator[bytes, None]:
    async for content in reading.begin_all():
        yield content
    while reading.last:
        news = await reading.subscription.take()
        if content := b"".join(map(reading.frames, news)):
            yield content
        elif not news:
            yield HEARTBEAT


async def _follow_active(hub: EventHub, reading: _Reading, resumed: bool) -> AsyncGenerator[bytes, None]:
    async for content in reading.begin_all():
        yield content
    active = await hub.log.active()
    if resumed:
        for job_id in list(active)[:PLACES_IN_AN_ID]:
            async for content in reading.catch_up(job_id):
                yield content
    reading.last = {
        job_id: last for job_id, last in reversed(active.items()) if job_id not in reading.last
    } | reading.last
    # Tells the client that the stream is open and where it would resume.
    yield framed("ready", json.dumps({"jobs": len(reading.last)}).encode(), reading.places)
    while True:
        news = await reading.subscription.take()
        if not news:
            yield HEARTBEAT
        for told in news:
            if not isinstance(told, JobChanged):
                if content := reading.frames(told):
                    yield content
                continue
            for job_id in [told.job_id] if told.job_id else await reading.changed():
                async for content in reading.catch_up(job_id):
                    yield content


class _Reading:
    """The progress of one stream in each job that it follows."""

    def __init__(self, hub: EventHub, subscription: Subscription, places: Places) -> None:
        # Holds all jobs from the first event on, so that its id covers those of which nothing was sent yet. Of active
        # jobs, the subscription includes only those that changed.
        self.last = dict(places.items())
        self.subscription = subscription
        self._hub = hub

    @property
    def places(self) -> str:
        return str(Places(self.last))

    async def begin_all(self) -> AsyncIterator[bytes]:
        """Follow the initial jobs from their places."""
        for job_id, after in tuple(self.last.items()):
            async for content in self.begin(job_id, after):
                yield content

    async def begin(self, job_id: UUID, after: int) -> AsyncIterator[bytes]:
        """Follow a job: replay the events after `after`, then let new ones in."""
        await self._hub.join(self.subscription, job_id)
        self.last[job_id] = min(after, await self._hub.log.last_sequence(job_id))
        more = True
        while more:
            stored = await self._hub.log.read(job_id, self.last[job_id])
            if stored:
                yield b"".join(map(self._sent, stored))
            more = len(stored) == BATCH
        # Checked after the replay, since the stored events may contain a retry of an ended job.
        status = await self._hub.log.status_at(job_id, self.last[job_id])
        if status is None or Status(status).ended:
            yield self._end(job_id, status)

    async def catch_up(self, job_id: UUID) -> AsyncIterator[bytes]:
        """Follow a job that changed: an active one that is new from the event that queued it, a known one from its
        place.
        """
        if job_id in self.subscription.jobs:
            return
        after = self.last.get(job_id)
        if after is None:
            queued = await self._hub.log.queued_at(job_id)
            if queued is None:
                return
            after = queued - 1
        async for content in self.begin(job_id, after):
            yield content

    async def changed(self) -> list[UUID]:
        """The jobs with events since their places, after lost notifications."""
        active = await self._hub.log.active()
        moved = [job_id for job_id, last in active.items() if last > self.last.get(job_id, 0)]
        return moved + [job_id for job_id in self.last if job_id not in active]

    def frames(self, news: News) -> bytes:
        """The frames to send for a message; empty if the stream does not follow the job or has sent the event."""
        if isinstance(news, JobChanged) or news.job_id not in self.last:
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
        if len(self.last) > PLACES_IN_AN_ID:
            del self.last[event.job_id]  # becomes the last, which the id names
        self.last[event.job_id] = event.sequence
        return framed(event.kind, event.named, self.places)

    def _end(self, job_id: UUID, status: str | None) -> bytes:
        sequence = self.last.pop(job_id)
        self._hub.leave(self.subscription, job_id)
        return framed("end", named(job_id, sequence, {"status": status}), self.places)
