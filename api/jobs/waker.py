"""Wakes idle workers while jobs are queued: at once after a change, and again and again until they come."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import timedelta

import structlog
from sqlalchemy import exists, func, select

from api.database import Database
from api.models import Attempt, Job, Worker
from api.schemas.jobs import Status
from api.wakeups import Wakeups

_log = structlog.get_logger(__name__)
# How long a worker may take from a wake-up to its claim before another wake-up is sent in its stead.
_PATIENCE_SECONDS = 5.0


class Waker:
    """Sends at most one wake-up for each idle worker whose pool has a queued job.

    A lost message is sent again, a superfluous one finds nothing to claim: an emptied broker heals by this.
    """

    def __init__(self, database: Database, wakeups: Wakeups, *, pause_seconds: float, presence_seconds: float) -> None:
        self._database, self._wakeups = database, wakeups
        self._pause, self._presence = pause_seconds, timedelta(seconds=presence_seconds)
        self._nudged = asyncio.Event()
        self._underway: dict[str, list[float]] = defaultdict(list)

    def nudge(self) -> None:
        """Something was queued, or a worker has become idle: look now."""
        self._nudged.set()

    def claimed(self, pool: str) -> None:
        """A worker of the pool came: one wake-up has arrived."""
        if self._underway[pool]:
            self._underway[pool].pop(0)

    async def run(self) -> None:
        """Wake until cancelled."""
        while True:
            try:
                await self.wake()
            except Exception as error:  # database or broker are away: the next pass tries again
                _log.warning("wakeups_not_sent", error=f"{type(error).__name__}: {error}"[:300])
            try:
                await asyncio.wait_for(self._nudged.wait(), self._pause)
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def wake(self) -> None:
        """One pass."""
        for pool, wanted in (await self._wanted()).items():
            old = time.monotonic() - _PATIENCE_SECONDS
            underway = self._underway[pool] = [t for t in self._underway[pool] if t > old]
            if wanted <= len(underway):
                continue
            for _ in range(wanted - max(len(underway), await self._wakeups.waiting(pool))):
                await self._wakeups.send(pool)
                underway.append(time.monotonic())

    async def _wanted(self) -> dict[str, int]:
        """For each pool, how many idle workers could take a queued job."""
        busy = exists().where(Attempt.worker == Worker.name, Attempt.status == "running")
        seen = Worker.last_seen > func.now() - self._presence
        idle = select(Worker.pool, func.count()).where(seen, ~busy).group_by(Worker.pool)
        queued = select(Job.pool, func.count()).where(Job.status == Status.QUEUED).group_by(Job.pool)
        async with self._database.transaction() as session:
            jobs = dict((await session.execute(queued)).tuples().all())
            workers = dict((await session.execute(idle)).tuples().all()) if jobs else {}
        return {pool: min(count, workers.get(pool, 0)) for pool, count in jobs.items()}
