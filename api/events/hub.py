"""One LISTEN connection a process, fanned out in memory: a notification costs one read, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from api.auth.principal import current
from api.background_tasks import Passed
from api.db.engine import Database
from api.db.models import BrowserSession, Key
from api.events.log import CHANNEL, ENDED_CHANNEL
from api.events.queries import BATCH, LogReader
from api.events.subscription import Gone, Subscription

_log = structlog.get_logger(__name__)
_SILENCE_SECONDS = 10.0
_TICK_SECONDS = 1.0


@dataclass
class _Channel:
    """The readers of one job, and the sequence up to which they were served."""

    cursor: int
    readers: set[Subscription] = field(default_factory=set)


class EventHub:
    """Follows the event log of every job that has a reader."""

    def __init__(self, database: Database) -> None:
        self.log = LogReader(database)
        self._database = database
        url = make_url(database.engine.url).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._channels: dict[UUID, _Channel] = {}
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._open: set[Subscription] = set()
        self._overhearing: set[Subscription] = set()

    @property
    def subscribers(self) -> int:
        """How many follow events now."""
        return len(self._open)

    @contextmanager
    def noticing(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever more was committed about the job than its steps: in doubt once too often."""
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
    async def subscribe(
        self, *job_ids: UUID, overhear: bool = False, cut: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Subscription]:
        """Events of these jobs that are stored from now on, and perhaps some that were stored just before.

        Subscribe first and read what is stored after: nothing falls in between. overhear: be told when other jobs stir.
        It is closed when the key or the browser session ends with which the request in work came.
        """
        subscription = Subscription(current(), cut)
        self._open.add(subscription)
        try:
            if overhear:
                self._overhearing.add(subscription)
            for job_id in job_ids:
                await self.join(subscription, job_id)
            yield subscription
        finally:
            self._open.discard(subscription)
            self._overhearing.discard(subscription)
            for job_id in list(subscription.jobs):
                self.leave(subscription, job_id)

    async def join(self, subscription: Subscription, job_id: UUID) -> None:
        """Follow one more job."""
        if job_id not in self._channels:
            stored = await self.log.last_sequence(job_id)
            self._channels.setdefault(job_id, _Channel(stored))
        subscription.jobs.add(job_id)
        self._channels[job_id].readers.add(subscription)

    def leave(self, subscription: Subscription, job_id: UUID) -> None:
        """Follow a job no more."""
        subscription.jobs.discard(job_id)
        if channel := self._channels.get(job_id):
            channel.readers.discard(subscription)
            if not channel.readers:
                del self._channels[job_id]

    async def tick(self, passed: Passed) -> None:
        """Send pings to the readers and end those that do not read, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for reader in tuple(self._open):
                try:
                    reader.tick()
                except Exception as error:  # one reader's trouble must not hold up the others
                    _log.error("reader_not_served", exc_info=error)
                    self._open.discard(reader)
            passed()

    async def listen(self, passed: Passed) -> None:
        """Hand new events to their readers until cancelled; called again after an error, those missed, too."""
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            await connection.execute(f"LISTEN {ENDED_CHANNEL}")
            loop = asyncio.get_running_loop()
            while True:
                # Commits before LISTEN sent their notifications to no connection, and so did the revocation of a key.
                # A silent connection may be dead: a statement finds out.
                await connection.execute("select 1")
                for job_id in {*self._channels, *self._waiting}:
                    await self._serve(job_id)
                for listener in tuple(self._overhearing):
                    listener.stir(None)
                await self._end_without_access()
                passed()
                checked = loop.time()
                while loop.time() - checked < _SILENCE_SECONDS:
                    # Those that came along with another answer first: they make no more noise on the wire.
                    async for notification in connection.notifies(timeout=0):
                        if notification.channel == ENDED_CHANNEL:
                            self._end({UUID(notification.payload)})
                        else:
                            about, _, step_only = notification.payload.partition(" ")
                            await self._serve(UUID(about), step_only=bool(step_only))
                    if not await _readable(connection.fileno(), _SILENCE_SECONDS):
                        break

    async def _end_without_access(self) -> None:
        """End the streams of keys and sessions that ended before this connection listened."""
        held = {holder for reader in self._open for holder in reader.holders}
        if not held:
            return
        keys = select(Key.id).where(Key.id.in_(held), Key.revoked_at.is_(None))
        sessions = select(BrowserSession.id).where(BrowserSession.id.in_(held), BrowserSession.expires_at > func.now())
        async with self._database.single_statements() as session:
            good = {*await session.scalars(keys), *await session.scalars(sessions)}
        self._end(held - good)

    def _end(self, holders: set[UUID]) -> None:
        for reader in tuple(self._open):
            if reader.holders & holders:
                reader.close()

    async def _serve(self, job_id: UUID, *, step_only: bool = False) -> None:
        if not step_only:
            for noticed in self._waiting.get(job_id, ()):
                noticed.set()
        for listener in tuple(self._overhearing):
            listener.stir(job_id)
        channel = self._channels.get(job_id)
        if channel is None:
            return
        more = True
        while more:
            events = await self.log.read(job_id, channel.cursor)
            for event in events:
                for reader in tuple(channel.readers):
                    reader.push(event)
                channel.cursor = event.sequence
            more = len(events) == BATCH
        if not events and not await self.log.last_sequence(job_id):
            for reader in tuple(channel.readers):
                reader.push(Gone(job_id))


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
