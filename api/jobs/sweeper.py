"""The sweeper: ends leases that were not renewed, and jobs that have run for too long."""

from __future__ import annotations

import asyncio
import time

import structlog
from sqlalchemy import func, select

from api.background import Passed
from api.database import Database
from api.jobs.conditions import RUNNING
from api.jobs.losses import lose
from api.jobs.rows import lock_job
from api.jobs.runtime import RuntimeLimits
from api.jobs.waker import Waker
from api.metrics.counters import LEASES_EXPIRED
from api.models import Attempt
from api.problems import is_unreachable

_log = structlog.get_logger(__name__)


def clock() -> float:
    """Seconds that go on while the machine sleeps, as the database's do where it is another one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Sweeper:
    """Runs in every API process; the row locks keep two of them out of each other's way."""

    def __init__(self, database: Database, waker: Waker, *, lease_seconds: float, sweep_seconds: float) -> None:
        self._database, self._waker = database, waker
        self._runtime = RuntimeLimits(database)
        # Passes must lie closer together than what counts as an outage.
        self._lease, self._pause = lease_seconds, min(sweep_seconds, lease_seconds / 4)
        # Workers could not renew anything while no API or no database was there to ask: they get a whole lease's
        # time after an outage before any lease ends.
        self._last_pass = clock()
        self._grace_until = self._last_pass + lease_seconds

    async def run(self, passed: Passed) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await self._runtime.enforce()
            passed()
            await asyncio.sleep(self._pause)

    async def sweep(self) -> None:
        """One pass."""
        expired = await self.expired()
        # After the question, which may have hung for as long as the database was away.
        now = clock()
        if now - self._last_pass > self._lease / 2:
            self._grace_until = now + self._lease
        self._last_pass = now
        if now < self._grace_until:
            return
        for attempt in expired:
            try:
                await self._end(attempt)
            except Exception as error:  # one attempt's trouble must not hold up the others
                if is_unreachable(error):
                    raise
                _log.error("lease_not_ended", attempt=str(attempt.id), exc_info=error)

    async def expired(self) -> list[Attempt]:
        """Running attempts whose leases are over."""
        query = select(Attempt).where(RUNNING, Attempt.lease_expires_at < func.now())
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))

    async def _end(self, expired: Attempt) -> None:
        async with self._database.transaction() as session:
            job = await lock_job(session, expired.job_id)
            if job is None:
                return
            # A heartbeat may have come between the look and the lock.
            still = await session.scalar(
                select(Attempt.id).where(
                    Attempt.id == expired.id, Attempt.status == "running", Attempt.lease_expires_at < func.now()
                )
            )
            if still is None:
                return
            await lose(session, job, f"no heartbeat from {expired.worker} for {self._lease:g} s")
            self._waker.nudge()
            LEASES_EXPIRED.labels(job.pool).inc()
            attempt = {"attempt": str(expired.id), "number": expired.number}
            _log.warning("lease_expired", job=str(job.id), **attempt, worker=expired.worker)
