"""Sets what owners may use of the fleet in a month."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Budgets
from api.http.problems import documented
from api.schemas.budgets import BudgetList, BudgetOut, BudgetSet
from api.schemas.keys import OwnerName

router = APIRouter(prefix="/budgets", tags=["operation"], responses=documented(422, 503))


@router.get("")
async def list_budgets(budgets: Budgets) -> BudgetList:
    """All budgets, by owner, with what is used of them."""
    return BudgetList(items=await budgets.list())


@router.put("/{owner}")
async def set_budget(owner: OwnerName, body: BudgetSet, budgets: Budgets) -> BudgetOut:
    """Give an owner a budget, or another one. Jobs that a used-up budget holds go on if the new one allows it."""
    return await budgets.set(owner, body.gpu_hours)


@router.delete("/{owner}", status_code=204, responses=documented(404))
async def remove_budget(owner: OwnerName, budgets: Budgets) -> None:
    """Remove an owner's budget: the owner's jobs run without a limit."""
    await budgets.remove(owner)
