"""What all kinds of job share on the wire."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


class JobKind(StrEnum):
    """What a job does. The collection's path is the plural."""

    SEARCH = "search"
    EVALUATION = "evaluation"
    SCORE = "score"
    ENSEMBLE = "ensemble"
    STUDY = "study"
    COMMITTEE = "committee"

    @property
    def collection(self) -> str:
        """The path of this kind's jobs, without slashes."""
        irregular = {"search": "searches", "study": "studies"}
        return irregular.get(self.value, f"{self.value}s")

    @property
    def is_tree(self) -> bool:
        """Whether it is made of other jobs, its children: no worker takes it."""
        return self in (JobKind.STUDY, JobKind.COMMITTEE)


class Status(StrEnum):
    """Where a job stands in its life; api/jobs/state_machine.py has the transitions."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the status is final: only a retry leads out of it."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


class AttemptStatus(StrEnum):
    """Where an attempt stands: running, or how it ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    RELEASED = "released"


# Control characters and those that reorder a line act upon the terminals and pages that show it.
_ACTING: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(lambda text: _without_acting(text)),
    Field(json_schema_extra={"pattern": f"^[^{_ACTING}]*$"}),
]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
# What programs write may hold anything: what cannot be stored is replaced, not refused.
Text = Annotated[str, BeforeValidator(lambda v: _storable(v) if isinstance(v, str) else v)]
Number = Annotated[float, Field(allow_inf_nan=False)]
RunSeconds = Annotated[
    int, Field(ge=1, lt=2**31, description="seconds of running, all attempts together, after which the job fails")
]
Labels = Annotated[dict[Line, Line], Field(max_length=32)]


_LATEST_LINES: Final = 500


def _without_acting(text: str) -> str:
    if found := re.search(f"[{_ACTING}]", text):
        raise ValueError(f"control characters and bidirectional marks (here U+{ord(found[0]):04X}) are not possible")
    return text


def _storable(text: str) -> str:
    """Without null bytes, and without the halves of surrogates that undecodable file names leave."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()


def shortened(text: str, most: int) -> str:
    """At most so many characters: of a longer text its beginning and its end, which tell the most."""
    if len(text) <= most:
        return text
    left_out = f" […{len(text) - most:,} characters…] "
    kept = max(0, most - len(left_out))
    return text[: kept - kept // 2] + left_out + (text[-(kept // 2) :] if kept > 1 else "")


def _shortened(most: int) -> AfterValidator:
    """A program's error may be of any length: one that is too long is cut, not refused."""
    return AfterValidator(lambda text: shortened(text, most))


# Why a job or an attempt stands as it does: one line in every list.
LONGEST_REASON: Final = 1_000
Reason = Annotated[str, _shortened(LONGEST_REASON)]


def _latest(lines: Any) -> Any:
    return lines[-_LATEST_LINES:] if isinstance(lines, list) else lines


class JobFrame(BaseModel):
    """The part of a creating request that is the same for every kind."""

    model_config = ConfigDict(extra="forbid")

    name: Line | None = None
    labels: Labels = Field(default_factory=dict, description="free key-value pairs to find jobs by")
    priority: int = Field(5, ge=0, le=9, description="9 is served first")
    pool: PoolName = Field("default", description="the workers that may take the job")
    gpus: int = Field(
        1, ge=1, le=64, description="of one worker, which share every batch: `batch_size` is a multiple of it"
    )
    max_attempts: int = Field(3, ge=1, le=100, description="lost workers in a row without a new epoch before it fails")
    max_runtime: RunSeconds | None = None


class JobPatch(BaseModel):
    """What may change after a job was made."""

    model_config = ConfigDict(extra="forbid")

    name: Line | None = None
    labels: Labels | None = None
    # No default that a reader could take for what is set without it; null is refused.
    priority: int = Field(default_factory=int, ge=0, le=9)
    max_runtime: RunSeconds | None = None


class Progress(BaseModel):
    """Where a running job is. `epoch` counts from 1 and is the one in work; eta in seconds.

    `steps` is 0 before the first one. `stage` is the work besides training steps, null while steps are done.
    Of a study or a committee: `epoch` children have ended, of `epochs` that are planned.
    """

    epoch: int = Field(ge=0, lt=2**31)
    epochs: int = Field(ge=0, lt=2**31)
    step: int = Field(ge=0, lt=2**31)
    steps: int = Field(ge=0, lt=2**31)
    eta_seconds: Number | None = None
    stage: Line | None = None


class Failure(BaseModel):
    """Why a job failed, as its worker saw it."""

    type: Annotated[Text, _shortened(200)]
    message: Annotated[Text, _shortened(20_000)]
    traceback: Annotated[Text, _shortened(100_000)] = ""
    log_tail: Annotated[list[Annotated[Text, _shortened(4_000)]], BeforeValidator(_latest)] = Field(
        default_factory=list
    )

    def brief(self) -> Failure:
        """What lists show."""
        return Failure(type=self.type, message=shortened(self.message, 500))


class JobOut(BaseModel):
    """A job as it stands now."""

    id: UUID
    kind: JobKind
    owner: str | None = Field(description="who made it; null without keys")
    parent: UUID | None = Field(None, description="the study or committee that it is a child of")
    stage: str | None = Field(
        None,
        description="which of its parent's children it is; without a parent, while it runs, `progress.stage`: the work "
        "besides training steps, as in `preparing: kernels`",
    )
    name: str | None
    labels: dict[str, str]
    priority: int
    pool: str
    gpus: int
    max_attempts: int
    max_runtime: int | None
    status: Status
    status_reason: Reason | None
    progress: Progress | None
    spec: dict[str, Any]
    attempt: int
    worker: str | None
    threads: int | None = Field(description="CPU threads that every attempt computes with; part of exact repetition")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    metrics: dict[str, float] | None = Field(description="of the latest epoch")
    best: dict[str, float] | None = Field(description="the best epoch and its metrics")
    result: dict[str, Any] | None = Field(
        None,
        description="of a score, an ensemble, a study or a committee what is no flat metric, of a search "
        "`stopped_early` {epoch, reason}; not in lists",
    )
    error: Failure | None
    last_sequence: int = Field(0, description="of its latest event: a stream with `after` this goes on from here")
    links: dict[str, str]


class JobList(BaseModel):
    """One page, newest first; `next_cursor` leads to the next one, null at the end."""

    items: list[JobOut]
    next_cursor: str | None


Table = list[list[Number]]


class EpochOut(BaseModel):
    """One finished epoch. Accuracies in percent, losses in nats."""

    epoch: int
    attempt: int
    metrics: dict[str, float]
    seconds: float
    genotype: dict[str, Any] | None = None
    alphas: dict[str, Table] | None = Field(None, description="raw alphas, one row an edge, one column a primitive")


class EpochList(BaseModel):
    """Epochs in order."""

    items: list[EpochOut]


class AttemptOut(BaseModel):
    """One worker's try at a job. status: running, or how it ended, and `end_reason` why."""

    number: int
    worker: str
    status: AttemptStatus
    end_reason: Reason | None
    started_at: datetime
    ended_at: datetime | None


class AttemptList(BaseModel):
    """Attempts, latest first."""

    items: list[AttemptOut]


class LogLine(BaseModel):
    """One line that a worker logged about the job."""

    sequence: int
    time: datetime
    level: str
    message: str


class LogList(BaseModel):
    """Log lines in order."""

    items: list[LogLine]


class CheckpointOut(BaseModel):
    """A stored checkpoint; `download` is the path of its file."""

    id: UUID
    epoch: int
    attempt: int
    sha256: str
    size: int
    metrics: dict[str, float]
    created_at: datetime
    download: str


class CheckpointList(BaseModel):
    """Checkpoints, latest epoch first."""

    items: list[CheckpointOut]
