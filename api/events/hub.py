"""One LISTEN connection a process, fanned out in memory: a notification costs one read, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import select
from sqlalchemy.engine import make_url

from api.database import Database
from api.events.log import CHANNEL
from api.models import Event, Job

_log = structlog.get_logger(__name__)
_BATCH = 500
# A reader this many events behind is not reading: it is cut off and comes back by its last id.
_LONGEST_QUEUE = 1000
_SILENCE_SECONDS = 10.0


class SlowReaderError(Exception):
    """The reader fell too far behind; it must reconnect with the last id it saw."""


class Subscription:
    """One reader's queue of a job's new events, oldest first."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_LONGEST_QUEUE)
        self._dropped = False

    def push(self, event: Event | None) -> None:
        """Hand an event over, None when the job is gone; a full queue ends the subscription."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._dropped = True

    async def next(self) -> Event | None:
        """Wait for the next event; None when the job is gone. Raises SlowReaderError when some were lost."""
        if self._dropped:
            raise SlowReaderError
        return await self._events.get()


@dataclass
class _Channel:
    """The readers of one job, and the sequence up to which they were served."""

    cursor: int
    readers: set[Subscription] = field(default_factory=set)


class EventHub:
    """Follows the event log of every job that somebody watches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        url = make_url(database.engine.url).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._channels: dict[UUID, _Channel] = {}
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    @contextmanager
    def noticing(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever something was committed about the job: in doubt once too often."""
        noticed = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(noticed)
        try:
            yield noticed
        finally:
            waiting = self._waiting[job_id]
            waiting.discard(noticed)
            if not waiting:
                del self._waiting[job_id]

    @asynccontextmanager
    async def subscribe(self, job_id: UUID) -> AsyncIterator[Subscription]:
        """Events of the job that are stored from now on, and perhaps some that were stored just before.

        Subscribe first and read what is stored after: nothing falls in between.
        """
        stored = await self.last_sequence(job_id)
        channel = self._channels.setdefault(job_id, _Channel(stored))
        subscription = Subscription()
        channel.readers.add(subscription)
        try:
            yield subscription
        finally:
            channel.readers.discard(subscription)
            if not channel.readers:
                self._channels.pop(job_id, None)

    async def last_sequence(self, job_id: UUID) -> int:
        """Of the job's log; 0 for a job that is gone."""
        async with self._database.transaction() as session:
            return await session.scalar(select(Job.last_sequence).where(Job.id == job_id)) or 0

    async def read(self, job_id: UUID, after: int) -> list[Event]:
        """Stored events behind a sequence, in order, a batch at a time."""
        query = select(Event).where(Event.job_id == job_id, Event.sequence > after).order_by(Event.sequence)
        async with self._database.transaction() as session:
            return list(await session.scalars(query.limit(_BATCH)))

    async def status_at(self, job_id: UUID, sequence: int) -> str | None:
        """The job's status just after the event with this sequence."""
        query = (
            select(Event.data["status"].astext)
            .where(Event.job_id == job_id, Event.kind == "status", Event.sequence <= sequence)
            .order_by(Event.sequence.desc())
            .limit(1)
        )
        async with self._database.transaction() as session:
            return await session.scalar(query)

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made again and everybody caught up."""
        while True:
            try:
                await self._listen()
            except Exception as error:  # whatever it is: without this task no stream would move again
                _log.warning("listen_lost", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            while True:
                # What was committed while nobody listened has no notification any more. And a silent connection
                # may be a dead one: asking finds out.
                await connection.execute("select 1")
                for job_id in {*self._channels, *self._waiting}:
                    await self._serve(job_id)
                while True:
                    # Those that came along with another answer first: they make no more noise on the wire.
                    async for notification in connection.notifies(timeout=0):
                        await self._serve(UUID(notification.payload))
                    if not await _readable(connection.fileno(), _SILENCE_SECONDS):
                        break

    async def _serve(self, job_id: UUID) -> None:
        for noticed in self._waiting.get(job_id, ()):
            noticed.set()
        channel = self._channels.get(job_id)
        if channel is None:
            return
        while True:
            events = await self.read(job_id, channel.cursor)
            for event in events:
                for reader in channel.readers:
                    reader.push(event)
                channel.cursor = event.sequence
            if len(events) == _BATCH:
                continue
            if not events and not await self.last_sequence(job_id):
                for reader in channel.readers:
                    reader.push(None)
            return


async def _readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, False when the time is over. psycopg itself looks ten times a second."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(seconds):
            return await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
