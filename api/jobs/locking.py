"""Locks a job's row, ends its attempt and loads its checkpoints."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Attempt, Checkpoint, Job
from api.jobs.run_time import run_seconds
from api.schemas.jobs import LONGEST_REASON, AttemptStatus, shortened
from api.usage.record import record


async def lock_job(session: AsyncSession, job_id: UUID) -> Job | None:
    """The row, locked until the transaction ends. Every change of a job must take this lock first."""
    return await session.get(Job, job_id, with_for_update=True, populate_existing=True)


async def end_attempt(session: AsyncSession, job: Job, status: AttemptStatus, reason: str | None) -> None:
    """End the job's running attempt, if any, and record its usage. The commit invalidates its token."""
    running = and_(Attempt.job_id == job.id, Attempt.status == AttemptStatus.RUNNING)
    reason = None if reason is None else shortened(reason, LONGEST_REASON)
    # The clock may have been set back since the attempt started.
    at = func.greatest(func.now(), Attempt.started_at)
    ended = {"status": status, "end_reason": reason, "ended_at": at, "seconds": run_seconds()}
    for attempt_id in await session.scalars(update(Attempt).where(running).values(ended).returning(Attempt.id)):
        await record(session, job, attempt_id)


async def files_of(session: AsyncSession, job: Job) -> tuple[list[Checkpoint], list[Checkpoint]]:
    """The job's checkpoints of whole epochs, and its partial ones, each latest first."""
    stored = await _checkpoints(session, job)
    return [c for c in stored if c.step is None], [c for c in stored if c.step is not None]


async def checkpoints_of(session: AsyncSession, job: Job) -> list[Checkpoint]:
    """The job's checkpoints of whole epochs, latest first."""
    return await _checkpoints(session, job, Checkpoint.step.is_(None))


async def partials_of(session: AsyncSession, job: Job) -> list[Checkpoint]:
    """The job's partial checkpoints, latest first: one, or two if a crash left the previous one."""
    return await _checkpoints(session, job, Checkpoint.step.is_not(None))


async def _checkpoints(session: AsyncSession, job: Job, *which: ColumnElement[bool]) -> list[Checkpoint]:
    order = (Checkpoint.epoch.desc(), Checkpoint.step.desc())
    return list(await session.scalars(select(Checkpoint).where(Checkpoint.job_id == job.id, *which).order_by(*order)))
