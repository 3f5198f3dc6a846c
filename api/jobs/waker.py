"""Wakes idle workers while jobs are queued: at once after a change, and again and again until they come."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from datetime import timedelta

import structlog
from sqlalchemy import exists, func, select, update

from api.database import Database
from api.models import Attempt, Job, Worker
from api.schemas.jobs import Status
from api.wakeups import Wakeups

_log = structlog.get_logger(__name__)
# How long a worker may take from a wake-up to its claim before another wake-up is sent in its stead.
_PATIENCE_SECONDS = 5.0
_CALM = 10  # times longer between two looks while nobody waits
BROKER_AWAY = "the broker cannot be reached: start it, or set REDIS_URL; the job runs as soon as it is back"


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
            somebody_waits = True
            try:
                somebody_waits = await self.wake()
            except Exception as error:  # the database is away: the next pass tries again
                _log.warning("wakeups_not_sent", error=f"{type(error).__name__}: {error}"[:300])
            try:
                # Whoever queues a job nudges: with none waiting, looking again is only for what went wrong there.
                await asyncio.wait_for(self._nudged.wait(), self._pause * (1 if somebody_waits else _CALM))
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def wake(self) -> bool:
        """One pass. Whether any worker should come."""
        wanted_by_pool = await self._wanted()
        try:
            await self._send(wanted_by_pool)
        except Exception as error:  # whatever the broker's driver raises
            _log.warning("broker_unreachable", error=f"{type(error).__name__}: {error}"[:300])
            await self._tell_waiting_jobs(None, BROKER_AWAY)
        else:
            if wanted_by_pool:
                await self._tell_waiting_jobs(BROKER_AWAY, None)
        return any(wanted_by_pool.values())

    async def _tell_waiting_jobs(self, before: str | None, reason: str | None) -> None:
        """Why they wait, on their rows: it is no transition, so there is no event."""
        waiting = (Job.status == Status.QUEUED) & Job.status_reason.is_not_distinct_from(before)
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(waiting).values(status_reason=reason))

    async def _send(self, wanted_by_pool: Counter[str]) -> None:
        for pool, wanted in wanted_by_pool.items():
            old = time.monotonic() - _PATIENCE_SECONDS
            underway = self._underway[pool] = [t for t in self._underway[pool] if t > old]
            if wanted <= len(underway):
                continue
            for _ in range(wanted - max(len(underway), await self._wakeups.waiting(pool))):
                await self._wakeups.send(pool)
                underway.append(time.monotonic())

    async def _wanted(self) -> Counter[str]:
        """For each pool, how many idle workers could take a queued job, by the GPUs that it needs and they have."""
        busy = exists().where(Attempt.worker == Worker.name, Attempt.status == "running")
        seen = Worker.last_seen > func.now() - self._presence
        idle = select(Worker.pool, Worker.gpus, func.count()).where(seen, ~busy).group_by(Worker.pool, Worker.gpus)
        queued = select(Job.pool, Job.gpus, func.count()).where(Job.status == Status.QUEUED)
        async with self._database.transaction() as session:
            jobs = (await session.execute(queued.group_by(Job.pool, Job.gpus))).tuples().all()
            workers = (await session.execute(idle)).tuples().all() if jobs else []
        idle_workers = {(pool, gpus): count for pool, gpus, count in workers}
        wanted: Counter[str] = Counter()
        for pool, gpus, count in jobs:
            wanted[pool] += min(count, idle_workers.get((pool, gpus), 0))
        return wanted
