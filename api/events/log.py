"""Appends to a job's event log. The job row's lock makes the sequence follow the order of commits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Event, Job

CHANNEL = "dartboard_events"
# Suffix of a notification whose commit changed only the job's progress, which its worker can ignore.
STEP_ONLY = " step"
# Notifies the ids of keys and browser sessions that have ended.
ENDED_CHANNEL = "dartboard_access_ended"


async def append(session: AsyncSession, job: Job, kind: str, data: dict[str, Any]) -> None:
    """Add one event in the caller's transaction, which must hold the job row's lock.

    On commit, a notification with the job's id is sent.
    """
    job.last_sequence += 1
    session.add(Event(job_id=job.id, sequence=job.last_sequence, kind=kind, data=data))
    # One notification per transaction is enough, and allows one bulk insert of its events.
    notified: set[UUID] = session.info.setdefault("notified", set())
    if job.id not in notified:
        notified.add(job.id)
        await notify(session, job.id)


async def notify(session: AsyncSession, job_id: UUID) -> None:
    """Notify the event hubs of all API processes of this job when the transaction commits."""
    await session.execute(select(func.pg_notify(CHANNEL, str(job_id))))


async def notify_ended(session: AsyncSession, holder_id: UUID) -> None:
    """Close the streams opened with this key or browser session when the transaction commits."""
    await session.execute(select(func.pg_notify(ENDED_CHANNEL, str(holder_id))))
