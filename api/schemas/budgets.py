"""Defines the schemas of budgets."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BudgetState = Literal["open", "warned", "exhausted"]


class BudgetSet(BaseModel):
    """The budget that an owner is to have."""

    model_config = ConfigDict(extra="forbid")

    gpu_hours: float = Field(ge=0, le=1e9, allow_inf_nan=False, description="of a calendar month in UTC")


class BudgetOut(BaseModel):
    """An owner's budget and how far it is used up."""

    owner: str
    gpu_hours: float
    used_gpu_hours: float = Field(description="in the present month, running jobs included")
    month: date = Field(description="its first day")
    state: BudgetState = Field(description="warned: 80 % are used; exhausted: no job of the owner's runs")


class BudgetList(BaseModel):
    """All budgets, by owner."""

    items: list[BudgetOut]
