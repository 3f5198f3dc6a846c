"""One LISTEN connection a process, fanned out in memory: a notification costs one read, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from api.database import Database
from api.events.log import CHANNEL, ENDED_CHANNEL
from api.keys.principal import Principal, current
from api.models import BrowserSession, Event, Job, Key
from api.schemas.jobs import Status

_ACTIVE = [status for status in Status if not status.ended]
_log = structlog.get_logger(__name__)
_BATCH = 500
# A reader this many events behind is not reading: it is cut off and comes back by its last id.
_LONGEST_QUEUE = 1000
_SILENCE_SECONDS = 10.0
_LONGEST_SECONDS = 86_400.0


class SlowReaderError(Exception):
    """The reader fell too far behind, has gone, or may not read any more; it must reconnect with the last id it saw."""


@dataclass(frozen=True)
class Gone:
    """A followed job was deleted."""

    job_id: UUID


@dataclass(frozen=True)
class Stirred:
    """Something was committed about a job that is not followed; None: about any, nobody was listening for a while."""

    job_id: UUID | None


News = Event | Gone | Stirred


class Subscription:
    """One reader's queue of what is new about the jobs it follows, oldest first."""

    def __init__(self, holder: Principal | None, cut: Callable[[], None]) -> None:
        """holder: by whose key or session it was opened. cut: breaks the connection, also while it is written to."""
        self.jobs: set[UUID] = set()
        names = () if holder is None else (holder.key_id, holder.session_id)
        self.holders = {name for name in names if name is not None}
        self._cut = cut
        self._news: asyncio.Queue[News] = asyncio.Queue(_LONGEST_QUEUE)
        self._stirred: set[Stirred] = set()
        self._dropped = False

    def push(self, news: News) -> None:
        """Hand it over; a full queue ends the subscription."""
        try:
            self._news.put_nowait(news)
        except asyncio.QueueFull:
            self.close()

    def close(self) -> None:
        """End it now: who is stuck in sending is torn away, who waits is woken."""
        if not self._dropped:
            self._dropped = True
            if not self._news.full():
                self._news.put_nowait(Stirred(None))
            self._cut()

    def stir(self, job_id: UUID | None) -> None:
        """Tell of a job that is not followed, once until that is read."""
        stirred = Stirred(job_id)
        if job_id not in self.jobs and stirred not in self._stirred:
            self._stirred.add(stirred)
            self.push(stirred)

    async def next(self) -> News:
        """Wait for the next. Raises SlowReaderError when some were lost."""
        self.check()
        news = await self._news.get()
        self.check()
        if isinstance(news, Stirred):
            self._stirred.discard(news)
        return news

    async def all(self, seconds: float) -> list[News]:
        """Wait for the next, and take all that is there by then; none when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                found = [await self.next()]
        except TimeoutError:
            return []
        while not self._news.empty():
            found.append(await self.next())
        return found

    def check(self) -> None:
        """Raises SlowReaderError when there is no use in going on."""
        if self._dropped:
            raise SlowReaderError


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
        self._open: set[Subscription] = set()
        self._overhearing: set[Subscription] = set()

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
    async def subscribe(
        self, *job_ids: UUID, overhear: bool = False, cut: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Subscription]:
        """Events of these jobs that are stored from now on, and perhaps some that were stored just before.

        Subscribe first and read what is stored after: nothing falls in between. overhear: be told when other jobs stir.
        It is closed when the key or the browser session ends with which the request in work came.
        """
        holder = current()
        subscription = Subscription(holder, cut)
        over = asyncio.get_running_loop().call_later(_seconds_left(holder), subscription.close)
        self._open.add(subscription)
        try:
            if overhear:
                self._overhearing.add(subscription)
            for job_id in job_ids:
                await self.join(subscription, job_id)
            yield subscription
        finally:
            over.cancel()
            self._open.discard(subscription)
            self._overhearing.discard(subscription)
            for job_id in list(subscription.jobs):
                self.leave(subscription, job_id)

    async def join(self, subscription: Subscription, job_id: UUID) -> None:
        """Follow one more job."""
        stored = await self.last_sequence(job_id)
        subscription.jobs.add(job_id)
        self._channels.setdefault(job_id, _Channel(stored)).readers.add(subscription)

    def leave(self, subscription: Subscription, job_id: UUID) -> None:
        """Follow a job no more."""
        subscription.jobs.discard(job_id)
        if channel := self._channels.get(job_id):
            channel.readers.discard(subscription)
            if not channel.readers:
                del self._channels[job_id]

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

    async def active(self, most: int) -> list[UUID]:
        """The jobs that have not ended, newest first."""
        query = select(Job.id).where(Job.status.in_(_ACTIVE)).order_by(Job.id.desc()).limit(most)
        async with self._database.transaction() as session:
            return list(await session.scalars(query))

    async def queued_at(self, job_id: UUID) -> int | None:
        """The sequence with which an unfinished job was last queued: where its present life begins."""
        queued = Event.data["status"].astext == Status.QUEUED
        query = (
            select(Event.sequence)
            .join(Job, Job.id == Event.job_id)
            .where(Event.job_id == job_id, Event.kind == "status", queued, Job.status.in_(_ACTIVE))
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
            await connection.execute(f"LISTEN {ENDED_CHANNEL}")
            loop = asyncio.get_running_loop()
            while True:
                # What was committed while nobody listened has no notification any more, nor has a key that was revoked
                # before its stream was there. And a silent connection may be a dead one: asking finds out.
                await connection.execute("select 1")
                for job_id in {*self._channels, *self._waiting}:
                    await self._serve(job_id)
                for listener in self._overhearing:
                    listener.stir(None)
                await self._end_without_access()
                checked = loop.time()
                while loop.time() - checked < _SILENCE_SECONDS:
                    # Those that came along with another answer first: they make no more noise on the wire.
                    async for notification in connection.notifies(timeout=0):
                        if notification.channel == ENDED_CHANNEL:
                            self._end({UUID(notification.payload)})
                        else:
                            await self._serve(UUID(notification.payload))
                    if not await _readable(connection.fileno(), _SILENCE_SECONDS):
                        break

    async def _end_without_access(self) -> None:
        """End the streams of keys and sessions that have ended while nobody listened."""
        held = {holder for reader in self._open for holder in reader.holders}
        if not held:
            return
        keys = select(Key.id).where(Key.id.in_(held), Key.revoked_at.is_(None))
        sessions = select(BrowserSession.id).where(BrowserSession.id.in_(held), BrowserSession.expires_at > func.now())
        async with self._database.transaction() as session:
            good = {*await session.scalars(keys), *await session.scalars(sessions)}
        self._end(held - good)

    def _end(self, holders: set[UUID]) -> None:
        for reader in tuple(self._open):
            if reader.holders & holders:
                reader.close()

    async def _serve(self, job_id: UUID) -> None:
        for noticed in self._waiting.get(job_id, ()):
            noticed.set()
        for listener in self._overhearing:
            listener.stir(job_id)
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
                    reader.push(Gone(job_id))
            return


def _seconds_left(holder: Principal | None) -> float:
    """Until the browser's session ends that a stream was opened with; without one, until the reader comes back."""
    if holder is None or holder.expires_at is None:
        return _LONGEST_SECONDS
    return max(0.0, (holder.expires_at - datetime.now(UTC)).total_seconds())


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
