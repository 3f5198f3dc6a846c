"""Compares owners' budgets with what they have used in the present month, running attempts included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas.budgets import BudgetState

WARNED_AT: Final = 0.8

# Run time as in api/jobs/run_time.py, of which the part since the month's beginning counts.
_STANDING: Final = text("""
with present as (
    select date_trunc('month', now() at time zone 'UTC') as month
), running as (
    select jobs.owner, sum(gpus
        * (seconds + greatest(extract(epoch from least(now(), lease_expires_at) - renewed_at)::float8, 0))
        * case when attempts.started_at at time zone 'UTC' >= month then 1 else
            extract(epoch from now() at time zone 'UTC' - month) / extract(epoch from now() - attempts.started_at)
        end) as gpu_seconds
    from present cross join attempts join jobs on jobs.id = job_id where attempts.status = 'running' group by jobs.owner
)
select budgets.owner, gpu_hours, present.month::date as month, warned_month, exhausted_month,
    (coalesce(owner_months.gpu_seconds, 0) + coalesce(running.gpu_seconds, 0)) / 3600 as used_gpu_hours
from present cross join budgets
left join owner_months on owner_months.owner = budgets.owner and owner_months.month = present.month
left join running on running.owner = budgets.owner
order by budgets.owner
""")


@dataclass(frozen=True)
class Standing:
    """An owner's budget in the present month. month: its first day."""

    owner: str
    gpu_hours: float
    month: date
    warned_month: date | None
    exhausted_month: date | None
    used_gpu_hours: float

    @property
    def state(self) -> BudgetState:
        """How far the budget is used up."""
        if self.used_gpu_hours >= self.gpu_hours:
            return "exhausted"
        return "warned" if self.used_gpu_hours >= WARNED_AT * self.gpu_hours else "open"

    @property
    def next_month(self) -> date:
        """The day on which the next budget begins."""
        return date(self.month.year + self.month.month // 12, self.month.month % 12 + 1, 1)


async def standings(session: AsyncSession) -> list[Standing]:
    """All budgets, by owner."""
    return [Standing(**row._mapping) for row in await session.execute(_STANDING)]
