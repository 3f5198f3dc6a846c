"""Requeues or fails a job whose worker is lost."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Job
from api.jobs.locking import end_attempt
from api.jobs.state_machine import move
from api.schemas.jobs import AttemptStatus, Status
from api.webhooks.outbox import tell


async def lose(session: AsyncSession, job: Job, why: str) -> None:
    """End the attempt as lost and requeue the job, or fail it after `max_attempts` lost attempts in a row.

    The caller holds the row's lock. Every stored epoch resets `lost_attempts` to 0, so a job that makes progress is
    never failed here, while a job that kills its worker each time is.
    """
    await end_attempt(session, job, AttemptStatus.LOST, why)
    await tell(session, job, "job.worker_lost", why)
    if job.status == Status.PAUSING:
        await move(session, job, Status.PAUSED, f"paused; its worker was lost before it paused ({why})")
        return
    job.lost_attempts += 1
    if job.lost_attempts < job.max_attempts:
        await move(session, job, Status.QUEUED, f"attempt {job.attempt} was lost ({why}); resumes from its last epoch")
        return
    lost = f"its worker was lost ({why})"
    if job.lost_attempts > 1:
        lost = f"{job.lost_attempts} workers in a row were lost (the last: {why})"
    message = (
        f"{lost} without finishing an epoch, and max_attempts is {job.max_attempts}: "
        "look for the cause in the worker's log, then retry the job"
    )
    job.error = {"type": "WorkerLost", "message": message, "traceback": "", "log_tail": []}
    await move(session, job, Status.FAILED, message)
