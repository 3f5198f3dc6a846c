"""Sets, lists and removes budgets."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from api.budgets.standing import Standing, standings
from api.db.engine import Database
from api.db.models import Budget
from api.http.problems import ProblemError
from api.jobs.waker import Waker
from api.schemas.budgets import BudgetOut


class BudgetService:
    """Runs each change in one transaction, and the pass that holds and frees jobs after it."""

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database, self._waker = database, waker

    async def list(self) -> list[BudgetOut]:
        """All budgets, by owner."""
        async with self._database.single_statements() as session:
            return [_out(each) for each in await standings(session)]

    async def set(self, owner: str, gpu_hours: float) -> BudgetOut:
        """Give the owner a budget, or another one. A warning of this month may be told again for the new one."""
        values = {"gpu_hours": gpu_hours, "warned_month": None, "exhausted_month": None}
        new = insert(Budget).values(owner=owner, **values)
        async with self._database.transaction() as session:
            await session.execute(new.on_conflict_do_update(index_elements=[Budget.owner], set_=values))
            [out] = [_out(each) for each in await standings(session) if each.owner == owner]
        self._waker.nudge()
        return out

    async def remove(self, owner: str) -> None:
        """Let the owner's jobs run without a budget. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            gone = await session.scalar(delete(Budget).where(Budget.owner == owner).returning(Budget.owner))
        if gone is None:
            raise ProblemError(404, f"the owner {owner} has no budget")
        self._waker.nudge()


def _out(standing: Standing) -> BudgetOut:
    return BudgetOut(
        owner=standing.owner,
        gpu_hours=standing.gpu_hours,
        used_gpu_hours=round(standing.used_gpu_hours, 4),
        month=standing.month,
        state=standing.state,
    )
