"""Queues news for one subscriber of the event log and detects one that has stopped reading.

A subscriber has no timer or task of its own: with a thousand subscribers, those would dominate the cost of an event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from api.auth.principal import Principal
from api.events.frames import StoredEvent

# A subscriber this many events behind is not reading; it is closed and must reconnect with its last id.
_LONGEST_QUEUE: Final = 1000
_HEARTBEAT_SECONDS: Final = 15.0
# A client that accepts no data for this long is not reading.
_SENDING_SECONDS: Final = 30.0


class EndedError(Exception):
    """The subscriber fell too far behind, disconnected or lost access; it must reconnect with its last id."""


@dataclass(frozen=True)
class Gone:
    """A followed job was deleted."""

    job_id: UUID


@dataclass(frozen=True)
class JobChanged:
    """A commit changed a job that is not followed. job_id: None after lost notifications, when any job may have
    changed.
    """

    job_id: UUID | None


News = StoredEvent | Gone | JobChanged


class Subscription:
    """A subscriber's queue of news about the jobs it follows, oldest first."""

    def __init__(self, holder: Principal | None, cut: Callable[[], None]) -> None:
        """holder: the principal that subscribed. cut: aborts the connection, even in the middle of a write."""
        self.jobs: set[UUID] = set()
        names = () if holder is None else (holder.key_id, holder.session_id)
        self.holders = {name for name in names if name is not None}
        self._until = None if holder is None else holder.expires_at
        self._cut = cut
        self._news: list[News] = []
        self._changed: set[JobChanged] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        # Whether the response is completed normally although its contents have not ended.
        self.in_order = False
        # When sending last finished, or, during sending, when it started.
        self._since = time.monotonic()
        self._sending = False

    def push(self, news: News) -> None:
        """Queue the news; a full queue closes the subscription."""
        if len(self._news) >= _LONGEST_QUEUE:
            self.close()
            return
        self._news.append(news)
        self._wake()

    def report_change(self, job_id: UUID | None) -> None:
        """Report a change of a job that is not followed, once until the queue is read."""
        changed = JobChanged(job_id)
        if job_id not in self.jobs and changed not in self._changed:
            self._changed.add(changed)
            self.push(changed)

    async def take(self) -> list[News]:
        """Wait for news and take all of it; an empty list means that a heartbeat is due.

        Raises EndedError.
        """
        self.check()
        if not self._news:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self.check()
        news, self._news = self._news, []
        self._changed.clear()
        return news

    def check(self) -> None:
        """Raise EndedError if the subscription has ended."""
        if self._ended:
            raise EndedError

    def sending(self, *, now: bool) -> None:
        """Record whether the connection is being written to."""
        self._sending, self._since = now, time.monotonic()

    def close(self) -> None:
        """End the subscription and abort its connection, even in the middle of a write."""
        if not self._ended:
            self._ended = True
            self._wake()
            self._cut()

    def finish(self) -> None:
        """End the subscription and complete its response, unless the client is not reading."""
        if self._sending:
            self.close()
        elif not self._ended:
            self._ended = self.in_order = True
            self._wake()

    def tick(self) -> None:
        """Wake for a heartbeat, and close if the client has stalled or its session expired. Called about every
        second.
        """
        seconds = time.monotonic() - self._since
        out_of_time = self._until is not None and datetime.now(UTC) >= self._until
        if out_of_time or (self._sending and seconds >= _SENDING_SECONDS):
            self.close()
        elif seconds >= _HEARTBEAT_SECONDS:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
