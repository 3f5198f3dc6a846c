"""The rows that every part of the job life needs: the locked job, its open attempt, its checkpoints."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Attempt, Checkpoint, Job
from api.jobs.run_time import run_seconds
from api.schemas.jobs import LONGEST_REASON, shortened


async def lock_job(session: AsyncSession, job_id: UUID) -> Job | None:
    """The row, locked until the transaction ends. Everything that changes a job comes through here."""
    return await session.get(Job, job_id, with_for_update=True, populate_existing=True)


async def end_attempt(session: AsyncSession, job: Job, status: str, reason: str | None) -> None:
    """Close the job's open attempt, if it has one; its token is refused from the commit on."""
    running = and_(Attempt.job_id == job.id, Attempt.status == "running")
    reason = None if reason is None else shortened(reason, LONGEST_REASON)
    # The clock may have been set back since its start.
    at = func.greatest(func.now(), Attempt.started_at)
    ended = {"status": status, "end_reason": reason, "ended_at": at, "seconds": run_seconds()}
    await session.execute(update(Attempt).where(running).values(ended))


async def files_of(session: AsyncSession, job: Job) -> tuple[list[Checkpoint], list[Checkpoint]]:
    """The job's stored checkpoints of whole epochs, and those made in the middle of one, each latest first."""
    stored = await _checkpoints(session, job)
    return [c for c in stored if c.step is None], [c for c in stored if c.step is not None]


async def checkpoints_of(session: AsyncSession, job: Job) -> list[Checkpoint]:
    """The job's stored checkpoints of whole epochs, latest first."""
    return await _checkpoints(session, job, Checkpoint.step.is_(None))


async def partials_of(session: AsyncSession, job: Job) -> list[Checkpoint]:
    """Those made in the middle of an epoch, latest first: one, or two where a crash left its forerunner."""
    return await _checkpoints(session, job, Checkpoint.step.is_not(None))


async def _checkpoints(session: AsyncSession, job: Job, *which: ColumnElement[bool]) -> list[Checkpoint]:
    order = (Checkpoint.epoch.desc(), Checkpoint.step.desc())
    return list(await session.scalars(select(Checkpoint).where(Checkpoint.job_id == job.id, *which).order_by(*order)))
