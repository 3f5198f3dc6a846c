"""Defines the schemas of schedules."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.jobs import JobKind, Line, Status, ZoneName

LONGEST_REQUEST: Final = 100_000
CronText = Annotated[
    str,
    StringConstraints(min_length=9, max_length=100, pattern=r"^[0-9A-Za-z*/,# -]*$", strip_whitespace=True),
    Field(description="minute, hour, day of month, month and day of week, such as `30 2 * * 1-5`"),
]
Runs = Annotated[int, Field(ge=1, lt=2**31, description="the number of jobs after which it ends")]
Overlap = Literal["skip", "queue"]
_Zone = Annotated[ZoneName, Field(description="of the cron expression, such as Europe/Berlin")]
_Overlap = Annotated[
    Overlap,
    Field(
        description="while an earlier job of the schedule has not ended: `skip` leaves the time out, `queue` submits a "
        "job all the same"
    ),
]
_Request = Annotated[dict[str, Any], Field(description="the body that creates one job of the kind")]


class Outcome(StrEnum):
    """What a schedule did at one of its times: it queued a job, left the time out, or was refused a job."""

    QUEUED = "queued"
    SKIPPED = "skipped"
    REFUSED = "refused"


class ScheduleCreate(BaseModel):
    """When to submit which job."""

    model_config = ConfigDict(extra="forbid")

    cron: CronText
    time_zone: _Zone = "UTC"
    kind: JobKind
    request: _Request
    name: Line | None = Field(None, description="also of its jobs, if the request gives them none")
    overlap: _Overlap = "skip"
    until: AwareDatetime | None = Field(None, description="no job is submitted later; with a time zone")
    runs: Runs | None = None


class SchedulePatch(BaseModel):
    """The fields that can change."""

    model_config = ConfigDict(extra="forbid")

    # No defaults that clients could mistake for the effect of omitting a field; null is rejected.
    paused: bool = Field(default_factory=bool, description="times that pass meanwhile are left out")
    cron: CronText = Field(default_factory=str)
    time_zone: _Zone = Field(default_factory=str)
    request: _Request = Field(default_factory=dict)
    name: Line | None = None
    overlap: _Overlap = Field(default_factory=lambda: "skip")
    until: AwareDatetime | None = None
    runs: Runs | None = None


class ScheduleOut(BaseModel):
    """A schedule. made: the number of jobs that it has submitted."""

    id: UUID
    owner: str | None
    project: str | None = Field(description="of its jobs")
    name: str | None
    cron: str
    time_zone: str
    kind: JobKind
    request: dict[str, Any]
    overlap: Overlap
    until: datetime | None
    runs: int | None
    made: int
    state: Literal["active", "paused", "ended"]
    next_at: datetime | None = Field(description="when the next job is due")
    error: str | None = Field(description="why no job was submitted the last time")
    created_at: datetime


class ScheduleList(BaseModel):
    """All schedules, newest first."""

    items: list[ScheduleOut]


class RunOut(BaseModel):
    """What a schedule did at one of its times. job: null unless one was queued, and once it is deleted."""

    planned_at: datetime
    outcome: Outcome
    reason: str | None = Field(description="why no job was queued")
    job: UUID | None
    status: Status | None = Field(description="of the job, now")
    created_at: datetime


class RunList(BaseModel):
    """One page, newest first."""

    items: list[RunOut]
    next_cursor: str | None
