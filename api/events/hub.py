"""Fans PostgreSQL notifications out to subscribers: one LISTEN connection per process and one read per notification."""

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
    """The subscribers of one job, and the last sequence that they were sent."""

    cursor: int
    readers: set[Subscription] = field(default_factory=set)


class EventHub:
    """Follows the event log of every job that has subscribers."""

    def __init__(self, database: Database) -> None:
        self.log = LogReader(database)
        self._database = database
        url = make_url(database.engine.url).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._channels: dict[UUID, _Channel] = {}
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._open: set[Subscription] = set()
        self._following_all: set[Subscription] = set()

    @property
    def subscribers(self) -> int:
        return len(self._open)

    @contextmanager
    def watch(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set when a commit changes the job beyond its step counter; it may also be set spuriously."""
        changed = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(changed)
        try:
            yield changed
        finally:
            waiting = self._waiting[job_id]
            waiting.discard(changed)
            if not waiting:
                del self._waiting[job_id]

    @asynccontextmanager
    async def subscribe(
        self, *job_ids: UUID, all_jobs: bool = False, cut: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Subscription]:
        """Subscribe to events of these jobs stored from now on; a few stored just before may also arrive.

        Subscribe first, then read the stored events, so that none is missed. all_jobs: also report changes of other
        jobs. The subscription closes when the current principal's key or browser session ends.
        """
        subscription = Subscription(current(), cut)
        self._open.add(subscription)
        try:
            if all_jobs:
                self._following_all.add(subscription)
            for job_id in job_ids:
                await self.join(subscription, job_id)
            yield subscription
        finally:
            self._open.discard(subscription)
            self._following_all.discard(subscription)
            for job_id in list(subscription.jobs):
                self.leave(subscription, job_id)

    async def join(self, subscription: Subscription, job_id: UUID) -> None:
        """Add a job to the subscription."""
        if job_id not in self._channels:
            stored = await self.log.last_sequence(job_id)
            self._channels.setdefault(job_id, _Channel(stored))
        subscription.jobs.add(job_id)
        self._channels[job_id].readers.add(subscription)

    def leave(self, subscription: Subscription, job_id: UUID) -> None:
        """Remove a job from the subscription."""
        subscription.jobs.discard(job_id)
        if channel := self._channels.get(job_id):
            channel.readers.discard(subscription)
            if not channel.readers:
                del self._channels[job_id]

    async def tick(self, passed: Passed) -> None:
        """Send heartbeats to subscribers and close stalled ones, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for reader in tuple(self._open):
                try:
                    reader.tick()
                except Exception as error:  # one subscriber's failure must not affect the others
                    _log.error("reader_not_served", exc_info=error)
                    self._open.discard(reader)
            passed()

    async def listen(self, passed: Passed) -> None:
        """Deliver new events until cancelled. Restarted after an error, it first delivers the missed events."""
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            await connection.execute(f"LISTEN {ENDED_CHANNEL}")
            loop = asyncio.get_running_loop()
            while True:
                # Commits and key revocations before LISTEN sent no notification to this connection, so everything is
                # checked once. The statement also detects a dead connection after a silence.
                await connection.execute("select 1")
                for job_id in {*self._channels, *self._waiting}:
                    await self._serve(job_id)
                for listener in tuple(self._following_all):
                    listener.report_change(None)
                await self._end_without_access()
                passed()
                checked = loop.time()
                while loop.time() - checked < _SILENCE_SECONDS:
                    # Notifications buffered with another result come first: they do not make the socket readable.
                    async for notification in connection.notifies(timeout=0):
                        if notification.channel == ENDED_CHANNEL:
                            self._end({UUID(notification.payload)})
                        else:
                            about, _, step_only = notification.payload.partition(" ")
                            await self._serve(UUID(about), step_only=bool(step_only))
                    if not await _readable(connection.fileno(), _SILENCE_SECONDS):
                        break

    async def _end_without_access(self) -> None:
        """Close the streams of keys and sessions that ended while this connection was not listening."""
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
            for changed in self._waiting.get(job_id, ()):
                changed.set()
        for listener in tuple(self._following_all):
            listener.report_change(job_id)
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
    """Wait until the descriptor is readable; False on timeout. psycopg's own wait polls ten times a second."""
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
