"""Fails jobs that have run for longer than their `max_runtime`; stored epochs are kept.

The time of all attempts counts, from claim to end; waiting in the queue and pauses do not.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.engine import Database
from api.db.models import Attempt, Job
from api.http.problems import conflict, is_unreachable
from api.jobs.index_conditions import RUNNING
from api.jobs.locking import end_attempt, lock_job
from api.jobs.run_time import run_seconds
from api.jobs.state_machine import move
from api.schemas.jobs import AttemptStatus, Status

_log = structlog.get_logger(__name__)


class RuntimeLimits:
    """Enforces the run-time limits of jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enforce(self) -> None:
        """Check all running attempts once."""
        for job_id in await self.over():
            try:
                await self._end(job_id)
            except Exception as error:  # one job's failure must not affect the others
                if is_unreachable(error):
                    raise
                _log.error("runtime_limit_not_enforced", job=str(job_id), exc_info=error)

    async def over(self) -> list[UUID]:
        """The running jobs that have exceeded their limit."""
        limited = select(Job.id).join(Attempt, Attempt.job_id == Job.id).where(RUNNING, Job.max_runtime.is_not(None))
        async with self._database.single_statements() as session:
            return list(await session.scalars(limited.where(_used_up())))

    async def _end(self, job_id: UUID) -> None:
        async with self._database.transaction() as session:
            job = await lock_job(session, job_id)
            # It may have ended or got more time before it was locked.
            if job is None or job.status not in (Status.RUNNING, Status.PAUSING) or not await is_used_up(session, job):
                return
            message = (
                f"the job has run for longer than its max_runtime of {job.max_runtime} s and keeps its stored epochs: "
                "raise max_runtime (PATCH), then retry the job"
            )
            job.error = {"type": "RuntimeLimit", "message": message, "traceback": "", "log_tail": []}
            await end_attempt(session, job, AttemptStatus.FAILED, message)
            await move(session, job, Status.FAILED, f"RuntimeLimit: {message}")
            _log.info("runtime_limit_reached", job=str(job.id), max_runtime=job.max_runtime)


async def is_used_up(session: AsyncSession, job: Job) -> bool:
    """Whether the job has a limit and has reached it."""
    return bool(await session.scalar(select(Job.id).where(Job.id == job.id, _used_up())))


async def check_runtime(session: AsyncSession, job: Job) -> None:
    """Raise ProblemError 409 if the job would be stopped again as soon as it runs."""
    if await is_used_up(session, job):
        raise conflict(
            f"the job has used up its max_runtime of {job.max_runtime} s: raise it, or remove it with null (PATCH)"
        )


def _used_up() -> ColumnElement[bool]:
    """The condition that a job has reached its limit; NULL without a limit."""
    return _seconds_run() >= Job.max_runtime


def _seconds_run() -> ScalarSelect[float]:
    attempt = Attempt.__table__.alias()
    return select(func.sum(run_seconds(attempt))).where(attempt.c.job_id == Job.id).correlate(Job).scalar_subquery()
