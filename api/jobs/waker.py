"""Wakes idle workers while jobs are queued: at once after a change, then repeatedly until they claim.

Each pass also enforces budgets and jobs' times, and frees slots for urgent jobs.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

import structlog
from sqlalchemy import any_, exists, func, select

from api.background_tasks import Passed
from api.budgets.enforce import BudgetKeeper
from api.db.engine import Database
from api.db.models import Attempt, Job, Worker
from api.jobs.index_conditions import CLAIMABLE, RUNNING
from api.jobs.preemption import Preemption
from api.jobs.queue_reasons import Waiting
from api.jobs.times import TimeKeeper
from api.jobs.wakeups import Wakeups

_log = structlog.get_logger(__name__)
# The time from a wake-up to the worker's claim, after which another wake-up is sent.
_PATIENCE_SECONDS = 5.0
_CALM = 10  # factor by which the interval between passes grows while no job waits

Serving = tuple[tuple[str, ...], int]
"""The pools and number of GPUs of a worker. Workers with equal values share a queue."""


class Waker:
    """Sends at most one wake-up per idle worker that could claim a queued job.

    Lost messages are repeated and superfluous ones find nothing to claim, so the system recovers from an emptied
    broker.
    """

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        preemption: Preemption,
        budgets: BudgetKeeper,
        times: TimeKeeper,
        *,
        pause_seconds: float,
        presence_seconds: float,
    ) -> None:
        self._database, self._wakeups, self._preemption = database, wakeups, preemption
        self._budgets, self._times = budgets, times
        self._pause, self._presence = pause_seconds, timedelta(seconds=presence_seconds)
        self._nudged = asyncio.Event()
        self._underway: dict[Serving, list[float]] = defaultdict(list)
        self.waiting = Waiting()

    def nudge(self) -> None:
        """Run a pass now: a job was queued or a worker became idle."""
        self._nudged.set()

    def claimed(self, pools: Iterable[str], gpus: int) -> None:
        """Record the arrival of a wake-up: a worker with these pools and GPUs has claimed."""
        if underway := self._underway.get((tuple(pools), gpus)):
            underway.pop(0)

    async def run(self, passed: Passed) -> None:
        """Wake workers until cancelled."""
        while True:
            # First, so that no worker is woken for a held job.
            await self._budgets.enforce()
            await self._times.enforce()
            jobs_wait = await self.wake()
            jobs_wait = await self._preemption.make_room(self.waiting) or jobs_wait
            passed()
            try:
                # Queueing a job calls `nudge`, so passes without waiting jobs only cover failures.
                await asyncio.wait_for(self._nudged.wait(), self._pause * (1 if jobs_wait else _CALM))
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def wake(self) -> bool:
        """Run one pass; returns whether any worker should claim."""
        wanted = await self.wanted()
        self.waiting.served = {(pool, gpus) for pools, gpus in wanted for pool in pools}
        try:
            if self.waiting.broker_away:
                await self._wakeups.ping()
            await self._send(wanted)
        except Exception as error:  # the broker's drivers raise many types
            _log.warning("broker_unreachable", error=f"{type(error).__name__}: {error}"[:300])
            self.waiting.broker_away = True
        else:
            self.waiting.broker_away = False
        return any(wanted.values()) or self.waiting.broker_away

    async def _send(self, wanted: Mapping[Serving, int]) -> None:
        for serving, most in wanted.items():
            old = time.monotonic() - _PATIENCE_SECONDS
            underway = self._underway[serving] = [t for t in self._underway[serving] if t > old]
            if most <= len(underway):
                continue
            for _ in range(most - max(len(underway), await self._wakeups.waiting(*serving))):
                await self._wakeups.send(*serving)
                underway.append(time.monotonic())

    async def wanted(self) -> dict[Serving, int]:
        """The number of idle workers that could claim a queued job, by pools and GPUs; 0 for workers without jobs.

        Reads at most as many queued jobs as there are idle workers.
        """
        busy = exists().where(Attempt.worker == Worker.name, RUNNING)
        idle = func.count().filter(~busy).label("idle")
        seen = Worker.last_seen > func.now() - self._presence
        there = select(Worker.pools, Worker.gpus, idle).where(seen).group_by(Worker.pools, Worker.gpus).cte("there")
        fits = select(Job.id).where(CLAIMABLE, Job.pool == any_(there.c.pools), Job.gpus == there.c.gpus)
        some = fits.limit(there.c.idle).correlate(there).subquery()
        wanted = select(func.count()).select_from(some).scalar_subquery()
        async with self._database.single_statements() as session:
            rows = (await session.execute(select(there.c.pools, there.c.gpus, wanted))).all()
        return {(tuple(pools), gpus): count for pools, gpus, count in rows}
