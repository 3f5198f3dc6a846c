"""Defines the schemas shared by all kinds of jobs."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema


class JobKind(str):
    """The name of a kind of job; `api/kinds` describes each kind. Raises ValueError for an undeclared name.

    Not an enum, so that a kind can be declared next to its description. Each name is a single object.
    """

    __slots__ = ()
    SEARCH: ClassVar[JobKind]
    EVALUATION: ClassVar[JobKind]
    SCORE: ClassVar[JobKind]
    ENSEMBLE: ClassVar[JobKind]
    STUDY: ClassVar[JobKind]
    COMMITTEE: ClassVar[JobKind]
    PREDICTION: ClassVar[JobKind]
    _declared: ClassVar[dict[str, JobKind]] = {}

    def __new__(cls, name: str) -> Self:
        try:
            return cls._declared[name]  # type: ignore[return-value]
        except KeyError:
            raise ValueError(f"{name!r} is not a kind of job: {', '.join(cls._declared)}") from None

    @classmethod
    def declare(cls, name: str) -> JobKind:
        """Declare a name, in the singular."""
        return cls._declared.setdefault(name, super().__new__(cls, name))

    @classmethod
    def all(cls) -> list[JobKind]:
        """All declared kinds, in the order of their declaration."""
        return list(cls._declared.values())

    @property
    def collection(self) -> str:
        """The plural of the name, which is the path of the kind's jobs without slashes."""
        if self.endswith("y"):
            return f"{self[:-1]}ies"
        return f"{self}es" if self.endswith(("ch", "s", "sh", "x")) else f"{self}s"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls._read, core_schema.str_schema(), ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "title": cls.__name__, "enum": list(map(str, cls._declared))}

    @classmethod
    def _read(cls, name: str) -> JobKind:
        try:
            return cls(name)
        except ValueError:
            expected = ", ".join(map(repr, map(str, cls._declared)))
            raise PydanticKnownError("enum", {"expected": expected}) from None


JobKind.SEARCH = JobKind.declare("search")
JobKind.EVALUATION = JobKind.declare("evaluation")
JobKind.SCORE = JobKind.declare("score")
JobKind.ENSEMBLE = JobKind.declare("ensemble")
JobKind.STUDY = JobKind.declare("study")
JobKind.COMMITTEE = JobKind.declare("committee")
JobKind.PREDICTION = JobKind.declare("prediction")


class Status(StrEnum):
    """The status of a job; api/jobs/state_machine.py defines the transitions."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether only a retry can leave the status."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


class AttemptStatus(StrEnum):
    """Where an attempt stands: running, or how it ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    RELEASED = "released"


# Control characters and bidirectional marks affect the terminals and pages that show them.
_CONTROL: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(lambda text: _without_control(text)),
    Field(json_schema_extra={"pattern": f"^[^{_CONTROL}]*$"}),
]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
# Programs may write any text: characters that cannot be stored are replaced, not rejected.
Text = Annotated[str, BeforeValidator(lambda v: _storable(v) if isinstance(v, str) else v)]
Number = Annotated[float, Field(allow_inf_nan=False)]
RunSeconds = Annotated[
    int, Field(ge=1, lt=2**31, description="seconds of run time of all attempts after which the job fails")
]
TimeWindow = Annotated[
    str,
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"),
    AfterValidator(lambda window: _of_some_length(window)),
]
ZoneName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$")]
HELD_FOR_TIME: Final = "time"
"""`hold` of a job that is outside its times."""
Labels = Annotated[dict[Line, Line], Field(max_length=32)]


_LATEST_LINES: Final = 500


def _without_control(text: str) -> str:
    if found := re.search(f"[{_CONTROL}]", text):
        raise ValueError(f"control characters and bidirectional marks (here U+{ord(found[0]):04X}) are not allowed")
    return text


def _of_some_length(window: str) -> str:
    begin, _, end = window.partition("-")
    if begin == end:
        raise ValueError("begins when it ends: give two times of day, or no window for the whole day")
    return window


def _storable(text: str) -> str:
    """The text without null bytes and lone surrogates, which undecodable file names leave."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()


def shortened(text: str, most: int) -> str:
    """At most `most` characters: the beginning and the end of a longer text, which are the most informative."""
    if len(text) <= most:
        return text
    left_out = f" […{len(text) - most:,} characters…] "
    kept = max(0, most - len(left_out))
    return text[: kept - kept // 2] + left_out + (text[-(kept // 2) :] if kept > 1 else "")


def _shortened(most: int) -> AfterValidator:
    """Truncates a program's error of any length instead of rejecting it."""
    return AfterValidator(lambda text: shortened(text, most))


# The priority of jobs that take slots of others: api/jobs/preemption.py.
URGENT: Final = 9

# The reason for the status of a job or an attempt: one line in every list.
LONGEST_REASON: Final = 1_000
Reason = Annotated[str, _shortened(LONGEST_REASON)]


def _latest(lines: Any) -> Any:
    return lines[-_LATEST_LINES:] if isinstance(lines, list) else lines


class JobFrame(BaseModel):
    """The fields that creating requests of every kind share."""

    model_config = ConfigDict(extra="forbid")

    name: Line | None = None
    labels: Labels = Field(default_factory=dict, description="key-value pairs to filter jobs by")
    project: ProjectName | None = Field(None, description="to which `GET /usage` accounts the job")
    priority: int = Field(
        5, ge=0, le=9, description="9 is urgent: claimed first, and if no worker is idle, in a less urgent job's slot"
    )
    preemptible: bool = Field(
        True, description="whether an urgent job may take the slot of this one, which goes on later"
    )
    pool: PoolName = Field("default", description="the workers that may claim the job")
    gpus: int = Field(
        1, ge=1, le=64, description="GPUs of one worker, which share every batch: `batch_size` must be a multiple"
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="lost attempts in a row without a new epoch after which the job fails"
    )
    max_runtime: RunSeconds | None = None
    not_before: AwareDatetime | None = Field(None, description="it does not start earlier; with a time zone")
    window: TimeWindow | None = Field(None, description="the time of day at which it runs, such as 22:00-07:00")
    time_zone: ZoneName = Field("UTC", description="of the window, such as Europe/Berlin")


class JobPatch(BaseModel):
    """The fields that can change after a job's creation."""

    model_config = ConfigDict(extra="forbid")

    name: Line | None = None
    labels: Labels | None = None
    notes: Annotated[Text, StringConstraints(max_length=20_000)] | None = None
    # No defaults that clients could mistake for the effect of omitting a field; null is rejected.
    priority: int = Field(default_factory=int, ge=0, le=9)
    preemptible: bool = Field(default_factory=bool)
    pinned: bool = Field(default_factory=bool)
    max_runtime: RunSeconds | None = None
    not_before: AwareDatetime | None = None
    window: TimeWindow | None = None
    time_zone: ZoneName = Field(default_factory=str)


class JobExtension(BaseModel):
    """More epochs for a search or an evaluation."""

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(ge=1, le=100_000, description="in all, more than now")


class Progress(BaseModel):
    """The progress of a running job. `epoch` counts from 1 and is the present one; eta in seconds.

    `steps` is 0 before the first step. `stage` names work other than training steps; null during steps. For a study or
    a committee, `epoch` children of `epochs` planned ones have ended.
    """

    epoch: int = Field(ge=0, lt=2**31)
    epochs: int = Field(ge=0, lt=2**31)
    step: int = Field(ge=0, lt=2**31)
    steps: int = Field(ge=0, lt=2**31)
    eta_seconds: Number | None = None
    stage: Line | None = None


class Failure(BaseModel):
    """Why a job failed, as reported by its worker."""

    type: Annotated[Text, _shortened(200)]
    message: Annotated[Text, _shortened(20_000)]
    traceback: Annotated[Text, _shortened(100_000)] = ""
    log_tail: Annotated[list[Annotated[Text, _shortened(4_000)]], BeforeValidator(_latest)] = Field(
        default_factory=list
    )

    def brief(self) -> Failure:
        """The error as shown in lists."""
        return Failure(type=self.type, message=shortened(self.message, 500))


class ObjectiveOut(BaseModel):
    """Which epoch is best: the one with the highest or the lowest value of a metric."""

    metric: str
    direction: Literal["max", "min"]


class JobOut(BaseModel):
    """The current state of a job."""

    id: UUID
    kind: JobKind
    owner: str | None = Field(description="the creator; null without keys")
    parent: UUID | None = Field(None, description="the study or committee of which the job is a child")
    stage: str | None = Field(
        None,
        description="the child's name within its parent; for a running job without a parent, `progress.stage`: work "
        "other than training steps, such as `preparing: kernels`",
    )
    project: str | None
    name: str | None
    labels: dict[str, str]
    notes: str | None = Field(None, description="Markdown; omitted in lists")
    pinned: bool = Field(False, description="whether no rule of retention clears its or its children's checkpoints")
    priority: int
    preemptible: bool = True
    preempted_by: UUID | None = Field(None, description="the urgent job for which this one saves its state and stops")
    preemptions: int = Field(0, description="how often an urgent job has taken its slot")
    pool: str
    gpus: int
    max_attempts: int
    max_runtime: int | None
    not_before: datetime | None = None
    window: str | None = None
    time_zone: str = "UTC"
    status: Status
    status_reason: Reason | None
    progress: Progress | None
    spec: dict[str, Any]
    attempt: int
    worker: str | None
    threads: int | None = Field(description="CPU threads of every attempt; needed for exact reproduction")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    metrics: dict[str, float] | None = Field(description="metrics of the latest epoch")
    best: dict[str, float] | None = Field(description="the best epoch and its metrics")
    parameters: int | None = Field(
        None, description="of the evaluation's network; of a search's latest cell in its data set's preset"
    )
    multiply_adds: int | None = Field(None, description="of the same network, for one image or word")
    warning: str | None = Field(
        None, description="what makes the metrics useless although the job runs or has succeeded: it has diverged"
    )
    result: dict[str, Any] | None = Field(
        None,
        description="structured results of a score, ensemble, study or committee; for a search, `stopped_early` "
        "{epoch, reason}; omitted in lists",
    )
    error: Failure | None
    actions: list[str] = Field(
        default_factory=list,
        description="the possible ones of `cancel`, `pause`, `resume`, `retry`, `extend` and `delete`",
    )
    objective: ObjectiveOut | None = Field(
        None, description="criterion of `best`; an epoch without this metric replaces the best one"
    )
    last_sequence: int = Field(
        0, description="of the latest event; a stream with `after` set to it continues from there"
    )
    links: dict[str, str]

    @property
    def is_composite(self) -> bool:
        """Whether the job consists of child jobs."""
        return "children" in self.links


class JobList(BaseModel):
    """One page; `next_cursor` leads to the next page in the same order and is null on the last.

    `total` jobs are on all pages; `counts` also has those of other statuses. They are counted to 10,000: if there are
    more, `total_exact` is false.
    """

    items: list[JobOut]
    next_cursor: str | None
    total: int | None = None
    total_exact: bool = True
    counts: dict[Status, int] | None = None


Table = list[list[Number]]


class EpochOut(BaseModel):
    """One finished epoch. Accuracies in percent, losses in nats."""

    epoch: int
    attempt: int
    metrics: dict[str, float]
    seconds: float
    created_at: datetime = Field(description="when its report was stored")
    genotype: dict[str, Any] | None = None
    alphas: dict[str, Table] | None = Field(None, description="raw alphas, one row per edge, one column per primitive")
    strengths: dict[str, Table] | None = Field(
        None, description="the expected weights of the operations: for `darts` the softmax of each row of alphas"
    )


class EpochList(BaseModel):
    """Epochs in order."""

    items: list[EpochOut]


class AttemptOut(BaseModel):
    """One worker's attempt at a job. status: running, or how it ended, with `end_reason`."""

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
    """One log line of the job."""

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
    pinned: bool = Field(False, description="whether it stays until its job is deleted")
    created_at: datetime
    download: str


class CheckpointPatch(BaseModel):
    """The field of a checkpoint that can change."""

    model_config = ConfigDict(extra="forbid")

    pinned: bool


class CheckpointList(BaseModel):
    """Checkpoints, latest epoch first."""

    items: list[CheckpointOut]
