"""Writing to a job's event log. The sequence is taken under the job row's lock, so commit order is its order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Event, Job

CHANNEL = "dartboard_events"
# Behind the id in a notification: nothing was committed but how far the job is, which is no news to its worker.
STEP_ONLY = " step"
# Ids of keys and browser sessions that are good no longer.
ENDED_CHANNEL = "dartboard_access_ended"


async def append(session: AsyncSession, job: Job, kind: str, data: dict[str, Any]) -> None:
    """Add one event in the caller's transaction, which must hold the job row's lock.

    The notification carries the id alone and leaves with the commit.
    """
    job.last_sequence += 1
    session.add(Event(job_id=job.id, sequence=job.last_sequence, kind=kind, data=data))
    # Once is enough, and lets the rows of many events go in together.
    told: set[UUID] = session.info.setdefault("told", set())
    if job.id not in told:
        told.add(job.id)
        await notify(session, job.id)


async def notify(session: AsyncSession, job_id: UUID) -> None:
    """Tell the hubs of all API processes, when the transaction commits, to look at this job."""
    await session.execute(select(func.pg_notify(CHANNEL, str(job_id))))


async def notify_ended(session: AsyncSession, holder_id: UUID) -> None:
    """Tell them to end the streams that were opened by this key or browser session."""
    await session.execute(select(func.pg_notify(ENDED_CHANNEL, str(holder_id))))
