"""Keeps the GPU-seconds of each owner and calendar month, in UTC."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# An attempt's run time is taken to be spread evenly from its start to its end.
_ADD: Final = text("""
insert into owner_months (owner, month, gpu_seconds)
select owner, month, sum(gpus * seconds * case when ended_at > started_at then extract(epoch from
    least(ended_at at time zone 'UTC', month + interval '1 month') - greatest(started_at at time zone 'UTC', month)
) / extract(epoch from ended_at - started_at) else 1 end)
from usage cross join generate_series(
    date_trunc('month', started_at at time zone 'UTC'), ended_at at time zone 'UTC', interval '1 month'
) as months (month)
where attempt_id = :attempt and owner is not null group by owner, month
on conflict (owner, month) do update set gpu_seconds = owner_months.gpu_seconds + excluded.gpu_seconds
""")


async def add_to_months(session: AsyncSession, attempt_id: UUID) -> None:
    """Add an ended attempt, whose usage is recorded, to its owner's months."""
    await session.execute(_ADD, {"attempt": attempt_id})
