"""Warns owners of their budgets, and holds their jobs while a budget is used up.

A held job keeps its place: a queued one is not claimed, a running training saves its state between two steps and
returns to the queue. Once the budget is raised or removed, or a new month begins, the jobs go on by themselves. Scores
and ensembles, which save nothing before their end, run to it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import exists, func, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.budgets.standing import WARNED_AT, Standing, standings
from api.db.engine import Database
from api.db.models import Attempt, Budget, Job
from api.events.log import append
from api.jobs.index_conditions import CLAIMABLE, RUNNING
from api.kinds import KINDS
from api.schemas.jobs import Status
from api.schemas.webhooks import EventType
from api.webhooks.outbox import tell_owner

HOLD: Final = "budget"
_HELD: Final = Job.hold == HOLD
# By steps from one to the next in the index, however many jobs they have.
_HELD_OWNERS: Final = text("""
with recursive held as (
    (select owner from jobs where hold is not null order by owner limit 1)
    union all
    select (select jobs.owner from jobs where hold is not null and jobs.owner > held.owner order by jobs.owner limit 1)
    from held where owner is not null
)
select owner from held where owner is not null
""")


class BudgetKeeper:
    """Runs in every API process; an advisory lock keeps their passes apart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enforce(self) -> None:
        """Run one pass."""
        async with self._database.single_statements() as session:
            if not await session.scalar(select(exists().select_from(Budget) | exists().where(_HELD))):
                return
        async with self._database.transaction() as session:
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("budgets", 0))))
            found = await standings(session)
            for each in found:
                await _tell(session, each)
            exhausted = {each.owner: each for each in found if each.state == "exhausted"}
            freed = set(await session.scalars(_HELD_OWNERS)) - exhausted.keys()
            jobs = await _lock(session, freed, exhausted)
            held = update(Job).where(Job.id.in_(jobs), _HELD, Job.owner.in_(freed))
            await session.execute(held.values(hold=None, status_reason=None))
            for owner, standing in exhausted.items():
                await _hold(session, jobs, owner, _reason(standing))


async def _tell(session: AsyncSession, standing: Standing) -> None:
    """Tell the owner's webhooks of 80 % and of the end, once a month each."""
    used = f"{standing.used_gpu_hours:,.1f} of the {standing.gpu_hours:,g} GPU-hours of {standing.month:%B %Y}"
    if standing.state == "exhausted" and standing.exhausted_month != standing.month:
        values = {"exhausted_month": standing.month, "warned_month": standing.month}
        event: EventType = "budget.exhausted"
        message = f"{used} are used: {_advice(standing)}"
    elif standing.state == "warned" and standing.warned_month != standing.month:
        values, event = {"warned_month": standing.month}, "budget.warned"
        message = f"{used} are used, more than {WARNED_AT:.0%}: jobs pause when all are"
    else:
        return
    await session.execute(update(Budget).where(Budget.owner == standing.owner).values(values))
    about = {
        "owner": standing.owner,
        "month": standing.month.isoformat(),
        "gpu_hours": standing.gpu_hours,
        "used_gpu_hours": round(standing.used_gpu_hours, 4),
    }
    await tell_owner(session, standing.owner, event, about, f"budget of {standing.owner}: {message}")


async def _lock(session: AsyncSession, freed: Collection[str], exhausted: Collection[str]) -> list[UUID]:
    """Lock the jobs of these owners that may change, by id, as everywhere."""
    held = select(Job.id).where(_HELD, Job.owner.in_(freed))
    queued = select(Job.id).where(CLAIMABLE, Job.owner.in_(exhausted))
    running = select(Attempt.job_id).where(RUNNING)
    changing = union_all(held, queued, running.join(Job, Job.id == Attempt.job_id).where(Job.owner.in_(exhausted)))
    locked = select(Job.id).where(Job.id.in_(changing)).order_by(Job.id).with_for_update()
    return list(await session.scalars(locked))


async def _hold(session: AsyncSession, jobs: list[UUID], owner: str, reason: str) -> None:
    """Hold the owner's jobs, of those that are locked."""
    own = Job.id.in_(jobs), Job.owner == owner
    await session.execute(update(Job).where(*own, CLAIMABLE).values(hold=HOLD, status_reason=reason))
    trainings = [name for name, kind in KINDS.items() if kind.trains]
    free = Job.hold.is_(None), Job.preempted_by.is_(None)
    running = select(Job).where(*own, *free, Job.status == Status.RUNNING, Job.kind.in_(trainings))
    for job in await session.scalars(running.execution_options(populate_existing=True)):
        job.hold, job.status_reason = HOLD, reason
        await append(session, job, "status", {"status": job.status, "reason": reason, "attempt": job.attempt})


def _reason(standing: Standing) -> str:
    budget = f"the budget of {standing.owner}, {standing.gpu_hours:,g} GPU-hours a month"
    return f"{budget}, is used up: {_advice(standing)}"


def _advice(standing: Standing) -> str:
    return (
        f"an admin can raise it (dartboard budgets set {standing.owner} HOURS); "
        f"else jobs go on on {standing.next_month:%Y-%m-%d}, 00:00 UTC"
    )
