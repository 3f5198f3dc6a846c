"""Ends attempts whose lease has expired and jobs that exceed their run-time limit."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import func, select, update

from api.background_tasks import Passed
from api.budgets.enforce import BudgetKeeper
from api.db.clock_steps import DatabaseClock, clock
from api.db.engine import Database
from api.db.models import Attempt, Worker
from api.http.problems import is_unreachable
from api.jobs.index_conditions import RUNNING
from api.jobs.locking import lock_job
from api.jobs.lost_attempts import lose
from api.jobs.max_runtime import RuntimeLimits
from api.jobs.preemption import Preemption
from api.jobs.times import TimeKeeper
from api.jobs.waker import Waker
from api.jobs.wakeups import Wakeups
from api.metrics.counters import CLOCK_STEPS, LEASES_EXPIRED
from api.schemas.jobs import AttemptStatus
from api.settings import Settings

_log = structlog.get_logger(__name__)


def waker_and_sweeper(database: Database, wakeups: Wakeups, settings: Settings) -> tuple[Waker, Sweeper]:
    """The waker, with preemption and budgets, and the sweeper that nudges it."""
    presence = settings.presence_seconds
    preemption = Preemption(
        database,
        presence_seconds=presence,
        remaining_seconds=settings.preempt_remaining_seconds,
        again_seconds=settings.preempt_again_seconds,
    )
    keepers = BudgetKeeper(database), TimeKeeper(database)
    pause = settings.wake_seconds
    waker = Waker(database, wakeups, preemption, *keepers, pause_seconds=pause, presence_seconds=presence)
    lease, pause = settings.lease_seconds, settings.sweep_seconds
    return waker, Sweeper(database, waker, lease_seconds=lease, sweep_seconds=pause)


class Sweeper:
    """Runs in every API process; row locks keep concurrent sweeps apart."""

    def __init__(self, database: Database, waker: Waker, *, lease_seconds: float, sweep_seconds: float) -> None:
        self._database, self._waker = database, waker
        self._runtime = RuntimeLimits(database)
        self._clock = DatabaseClock(database)
        # Passes must be closer together than the pause that counts as an outage.
        self._lease, self._pause = lease_seconds, min(sweep_seconds, lease_seconds / 4)
        # Workers cannot renew leases while the API or the database is down, and renewals mean nothing after a step of
        # the database's clock: workers then get a whole lease before any attempt is ended.
        self._last_pass = clock()
        self._grace_until = self._last_pass + lease_seconds
        self._capped = False

    async def run(self, passed: Passed) -> None:
        """Sweep until cancelled."""
        while True:
            if await self.sweep():
                await self._runtime.enforce()
            passed()
            await asyncio.sleep(self._pause)

    async def sweep(self) -> bool:
        """Run one pass; False during the grace period, in which no attempt is ended."""
        expired = await self.expired()
        # After the query, which may have waited for the database.
        step, now = await self._clock.step(), clock()
        # Workers renew after a quarter of the lease, so a smaller step cannot expire a live one.
        stepped = abs(step) > self._lease / 4
        if stepped:
            _log.warning("database_clock_stepped", seconds=round(step, 3))
            CLOCK_STEPS.inc()
            self._capped = False
        if stepped or now - self._last_pass > self._lease / 2:
            self._grace_until = now + self._lease
        self._last_pass = now
        if not self._capped:
            await self._cap()
            self._capped = True
        if now < self._grace_until:
            return False
        for attempt in expired:
            try:
                await self._end(attempt)
            except Exception as error:  # one attempt's failure must not affect the others
                if is_unreachable(error):
                    raise
                _log.error("lease_not_ended", attempt=str(attempt.id), exc_info=error)
        return True

    async def _cap(self) -> None:
        """Cap times that are in the future after the clock was set back; otherwise dead workers would seem alive."""
        lease = func.now() + timedelta(seconds=self._lease)
        async with self._database.transaction() as session:
            late = update(Attempt).where(RUNNING, Attempt.lease_expires_at > lease)
            await session.execute(late.values(lease_expires_at=lease))
            await session.execute(update(Worker).where(Worker.last_seen > func.now()).values(last_seen=func.now()))

    async def expired(self) -> list[Attempt]:
        """The running attempts with an expired lease."""
        query = select(Attempt).where(RUNNING, Attempt.lease_expires_at < func.now())
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))

    async def _end(self, expired: Attempt) -> None:
        async with self._database.transaction() as session:
            job = await lock_job(session, expired.job_id)
            if job is None:
                return
            # A heartbeat may have arrived before the lock.
            still = await session.scalar(
                select(Attempt.id).where(
                    Attempt.id == expired.id,
                    Attempt.status == AttemptStatus.RUNNING,
                    Attempt.lease_expires_at < func.now(),
                )
            )
            if still is None:
                return
            await lose(session, job, f"no heartbeat from {expired.worker} for {self._lease:g} s")
            self._waker.nudge()
            LEASES_EXPIRED.labels(job.pool).inc()
            attempt = {"attempt": str(expired.id), "number": expired.number}
            _log.warning("lease_expired", job=str(job.id), **attempt, worker=expired.worker)
