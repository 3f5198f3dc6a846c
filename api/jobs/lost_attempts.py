"""What happens to a job whose worker is gone."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Job
from api.jobs.locking import end_attempt
from api.jobs.state_machine import move
from api.schemas.jobs import Status


async def lose(session: AsyncSession, job: Job, why: str) -> None:
    """Close the attempt and let the job go on elsewhere, unless it has lost too many workers in a row.

    The caller holds the row's lock. `lost_attempts` goes back to 0 with every stored epoch, so a job that makes
    progress is never given up, and one that kills its worker each time is.
    """
    await end_attempt(session, job, "lost", why)
    if job.status == Status.PAUSING:
        await move(session, job, Status.PAUSED, f"paused; its worker was lost on the way ({why})")
        return
    job.lost_attempts += 1
    if job.lost_attempts < job.max_attempts:
        await move(session, job, Status.QUEUED, f"attempt {job.attempt} was lost ({why}); goes on from its last epoch")
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
