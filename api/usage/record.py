"""Records what an ended attempt took, in a row that stays when its job is deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Double, Text, case, cast, extract, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Attempt, Checkpoint, Epoch, Job, Usage, Worker
from api.schemas.jobs import AttemptStatus
from api.usage.months import add_to_months
from api.usage.shares import add_to_share


async def record(session: AsyncSession, job: Job, attempt_id: UUID) -> None:
    """Store the usage of an attempt that this transaction has ended."""
    values: dict[str, Any] = {
        "attempt_id": Attempt.id,
        "job_id": Attempt.job_id,
        "kind": literal(job.kind),
        "owner": literal(job.owner, Text),
        "project": literal(job.project, Text),
        "device": Worker.device,
        "gpus": literal(job.gpus),
        "seconds": Attempt.seconds,
        "lost_seconds": _lost(job),
        "joules": Attempt.joules,
        "started_at": Attempt.started_at,
        "ended_at": Attempt.ended_at,
    }
    taken = select(*values.values()).outerjoin(Worker, Worker.name == Attempt.worker).where(Attempt.id == attempt_id)
    await session.execute(insert(Usage).from_select(list(values), taken))
    await add_to_share(session, attempt_id)
    await add_to_months(session, attempt_id)


def _lost(job: Job) -> ColumnElement[float]:
    """Seconds since the last stored epoch or checkpoint of a lost attempt, which the next one computes again."""
    latest = [
        select(func.max(row.created_at)).where(row.job_id == job.id, row.attempt == Attempt.number).scalar_subquery()
        for row in (Epoch, Checkpoint)
    ]
    kept = cast(extract("epoch", func.greatest(*latest, Attempt.started_at) - Attempt.started_at), Double)
    return case((Attempt.status == AttemptStatus.LOST, func.greatest(Attempt.seconds - kept, 0)), else_=0)
