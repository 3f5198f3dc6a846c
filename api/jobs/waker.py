"""Wakes idle workers while jobs are queued: at once after a change, and again and again until they come."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

import structlog
from sqlalchemy import any_, exists, func, select

from api.background_tasks import Passed
from api.db.engine import Database
from api.db.models import Attempt, Job, Worker
from api.jobs.index_conditions import QUEUED, RUNNING
from api.jobs.queue_reasons import Waiting
from api.jobs.wakeups import Wakeups

_log = structlog.get_logger(__name__)
# How long a worker may take from a wake-up to its claim before another wake-up is sent in its stead.
_PATIENCE_SECONDS = 5.0
_CALM = 10  # times longer between two passes while no job waits

Serving = tuple[tuple[str, ...], int]
"""What a worker can take: jobs of these pools, for so many GPUs. Workers of which that is the same share a queue."""


class Waker:
    """Sends at most one wake-up for each idle worker that could take a queued job.

    A lost message is sent again, a superfluous one finds nothing to claim: an emptied broker heals by this.
    """

    def __init__(self, database: Database, wakeups: Wakeups, *, pause_seconds: float, presence_seconds: float) -> None:
        self._database, self._wakeups = database, wakeups
        self._pause, self._presence = pause_seconds, timedelta(seconds=presence_seconds)
        self._nudged = asyncio.Event()
        self._underway: dict[Serving, list[float]] = defaultdict(list)
        self.waiting = Waiting()

    def nudge(self) -> None:
        """Something was queued, or a worker has become idle: look now."""
        self._nudged.set()

    def claimed(self, pools: Iterable[str], gpus: int) -> None:
        """Such a worker came: one wake-up has arrived."""
        if underway := self._underway.get((tuple(pools), gpus)):
            underway.pop(0)

    async def run(self, passed: Passed) -> None:
        """Wake until cancelled."""
        while True:
            jobs_wait = await self.wake()
            passed()
            try:
                # Queueing a job nudges: with none waiting, looking again is only for what went wrong there.
                await asyncio.wait_for(self._nudged.wait(), self._pause * (1 if jobs_wait else _CALM))
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def wake(self) -> bool:
        """One pass. Whether any worker should come."""
        wanted = await self.wanted()
        self.waiting.served = {(pool, gpus) for pools, gpus in wanted for pool in pools}
        try:
            if self.waiting.broker_away:
                await self._wakeups.ping()
            await self._send(wanted)
        except Exception as error:  # whatever the broker's driver raises
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
        """How many idle workers could take a queued job, by their pools and GPUs; 0 where workers are, but none should
        come. Of the queued jobs no more are looked at than there are idle workers.
        """
        busy = exists().where(Attempt.worker == Worker.name, RUNNING)
        idle = func.count().filter(~busy).label("idle")
        seen = Worker.last_seen > func.now() - self._presence
        there = select(Worker.pools, Worker.gpus, idle).where(seen).group_by(Worker.pools, Worker.gpus).cte("there")
        fits = select(Job.id).where(QUEUED, Job.pool == any_(there.c.pools), Job.gpus == there.c.gpus)
        some = fits.limit(there.c.idle).correlate(there).subquery()
        wanted = select(func.count()).select_from(some).scalar_subquery()
        async with self._database.single_statements() as session:
            rows = (await session.execute(select(there.c.pools, there.c.gpus, wanted))).all()
        return {(tuple(pools), gpus): count for pools, gpus, count in rows}
