"""Defines the schemas of usage, and renders it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal

from pydantic import BaseModel, Field

from api.schemas.spreadsheet import field

UsageKey = Literal["owner", "project", "kind", "device", "day"]


class UsageSums(BaseModel):
    """What attempts took."""

    jobs: int
    attempts: int
    compute_seconds: float = Field(description="run time of the attempts, times the job's `gpus`; includes CPUs")
    gpu_seconds: float = Field(description="the part of `compute_seconds` on GPUs")
    lost_seconds: float = Field(
        description="the part of `compute_seconds` that lost attempts had not stored, so that it was spent again"
    )
    kwh: float | None = Field(description="of GPUs that tell their energy; null if none did")


class UsageRow(UsageSums):
    """The sums of one group. Only the fields by which usage is divided are there."""

    owner: str | None = Field(None, description="null for jobs created without keys")
    project: str | None = Field(None, description="null for jobs of no project")
    kind: str | None = None
    device: str | None = Field(None, description="of the worker, in words; null if it never reported one")
    day: date | None = Field(None, description="in UTC; an attempt over midnight counts in parts")


class UsageOut(BaseModel):
    """The usage from `since` until `until`, divided by `by`: by day in order, otherwise the largest first."""

    since: datetime
    until: datetime
    by: list[UsageKey]
    rows: list[UsageRow]
    total: UsageSums


class ShareOut(BaseModel):
    """What an owner has had of the fleet by the order of the queue: the fewest GPU-hours come first."""

    owner: str | None = Field(description="null for jobs created without keys")
    gpu_hours: float = Field(description="decayed since the end of each attempt, running ones included; CPUs count")
    share: float = Field(ge=0, le=1, description="the part of all owners' sum")
    held: int = Field(description="jobs outside their times, or of a budget that is used up")


class ShareList(BaseModel):
    """The share of each owner, the largest first. half_life_hours: the time after which GPU-hours count half."""

    half_life_hours: float
    items: list[ShareOut]


_SUMS: Final = tuple(UsageSums.model_fields)


def usage_csv(usage: UsageOut) -> str:
    """One row per group: the fields by which it is divided, then the sums."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names: Sequence[str] = [*usage.by, *_SUMS]
    writer.writerow(names)
    writer.writerows([field(getattr(row, name)) for name in names] for row in usage.rows)
    return out.getvalue()
