"""One reader of the event log: what waits for it, and whether it still reads.

No reader has a timer or a task of its own for this: with a thousand of them those are most of what an event costs.
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

# A reader this many events behind is not reading: it is cut off and comes back by its last id.
_LONGEST_QUEUE: Final = 1000
_HEARTBEAT_SECONDS: Final = 15.0
# A client that accepts no data for this long is not reading.
_SENDING_SECONDS: Final = 30.0


class EndedError(Exception):
    """The reader fell too far behind, has gone, or may not read any more; it must reconnect with the last id it saw."""


@dataclass(frozen=True)
class Gone:
    """A followed job was deleted."""

    job_id: UUID


@dataclass(frozen=True)
class Stirred:
    """A commit about a job that is not followed. job_id None: notifications were lost, so it may be any job."""

    job_id: UUID | None


News = StoredEvent | Gone | Stirred


class Subscription:
    """A reader's queue of what is new about the jobs it follows, oldest first."""

    def __init__(self, holder: Principal | None, cut: Callable[[], None]) -> None:
        """holder: by whose key or session it was opened. cut: breaks the connection, also while it is written to."""
        self.jobs: set[UUID] = set()
        names = () if holder is None else (holder.key_id, holder.session_id)
        self.holders = {name for name in names if name is not None}
        self._until = None if holder is None else holder.expires_at
        self._cut = cut
        self._news: list[News] = []
        self._stirred: set[Stirred] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        # Whether the answer is to be completed though it has no end.
        self.in_order = False
        # When the last thing was sent, or, while something is being sent, when that began.
        self._since = time.monotonic()
        self._sending = False

    def push(self, news: News) -> None:
        """Hand it over; a full queue ends the subscription."""
        if len(self._news) >= _LONGEST_QUEUE:
            self.close()
            return
        self._news.append(news)
        self._wake()

    def stir(self, job_id: UUID | None) -> None:
        """Tell of a job that is not followed, once until that is read."""
        stirred = Stirred(job_id)
        if job_id not in self.jobs and stirred not in self._stirred:
            self._stirred.add(stirred)
            self.push(stirred)

    async def take(self) -> list[News]:
        """Wait for something new and take all that is there by then; nothing when it is time for a sign of life.

        Raises EndedError.
        """
        self.check()
        if not self._news:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self.check()
        news, self._news = self._news, []
        self._stirred.clear()
        return news

    def check(self) -> None:
        """Raises EndedError when there is no use in going on."""
        if self._ended:
            raise EndedError

    def sending(self, *, now: bool) -> None:
        """Something is given to the connection now, or has been taken by it."""
        self._sending, self._since = now, time.monotonic()

    def close(self) -> None:
        """End it now, with its connection: who is stuck in sending is torn away, who waits is woken."""
        if not self._ended:
            self._ended = True
            self._wake()
            self._cut()

    def finish(self) -> None:
        """End it, and let its connection end in order unless its reader does not read."""
        if self._sending:
            self.close()
        elif not self._ended:
            self._ended = self.in_order = True
            self._wake()

    def tick(self) -> None:
        """Look at the clock, every second or so."""
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
