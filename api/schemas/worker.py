"""Defines the messages between workers and the API (docs/architecture.md, contracts 2 to 4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from api.schemas.alphas import Alphas, Strengths
from api.schemas.jobs import Failure, JobKind, Line, Number, PoolName, Progress, Status, Text
from darts_core.families import family_in

MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
# Rejected unless it can be built, since evaluations train stored genotypes.
StoredGenotype = Annotated[dict[str, Any], AfterValidator(lambda v: family_in(v).stored(v))]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
AttemptToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{32,100}$")]
ReportNumber = Annotated[
    int, Field(ge=1, lt=2**63, description="counts the attempt's reports; a repeated one changes nothing")
]


# Sorted, so that workers with the same pools share one queue.
Pools = Annotated[
    list[PoolName],
    Field(min_length=1, max_length=16, description="pools whose jobs the worker claims"),
    AfterValidator(lambda pools: sorted(set(pools))),
]


def wakeup_queue(pools: Iterable[str], gpus: int) -> str:
    """The broker's queue of all workers that can claim the same jobs, so that a wake-up only reaches such workers.

    pools: normalised like `Pools`.
    """
    return f"dartboard.{'+'.join(pools)}.{gpus}"


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeviceLoad(_Message):
    """The load of one device by all processes: a GPU, or the machine's processors and memory."""

    name: Line
    memory_used: int = Field(ge=0, lt=2**63, description="bytes")
    memory_total: int = Field(ge=0, lt=2**63, description="bytes")
    utilisation: float | None = Field(ge=0, le=100, description="percent; null if the device does not report it")


class _Serving(_Message):
    """The jobs that a worker can claim: of these pools, for exactly this number of GPUs."""

    pools: Pools = ["default"]
    gpus: int = Field(1, ge=1, le=64)

    @model_validator(mode="before")
    @classmethod
    def _one_pool(cls, message: Any) -> Any:
        """Accepts `pool` from older workers, which serve a single pool."""
        if isinstance(message, dict) and "pool" in message and "pools" not in message:
            return {**{name: value for name, value in message.items() if name != "pool"}, "pools": [message["pool"]]}
        return message


class Presence(_Serving):
    """A worker's presence report, sent whether it is busy or not."""

    name: Line
    device: Line
    version: Line
    load: list[DeviceLoad] = Field(default_factory=list, max_length=64, description="of each of its devices")
    datasets: list[Line] | None = Field(
        None, max_length=64, description="published data sets readable without a download; null: not reported"
    )
    dataset_bytes: int | None = Field(None, ge=0, lt=2**63, description="of its copies of uploaded data sets")
    free_bytes: int | None = Field(None, ge=0, lt=2**63, description="of the disk of its data sets")


class Claim(_Serving):
    """An idle worker's request for a job. `threads`: the CPU threads it would use."""

    worker: Line
    threads: int = Field(ge=1, le=4096)
    token: AttemptToken | None = Field(
        None,
        description="a new random secret, which becomes the attempt's token: if the response is lost, repeating the "
        "claim with the same token returns the same attempt",
    )


class Resume(BaseModel):
    """The last stored epoch and the file to resume from; `step` counts the steps done after the epoch."""

    epoch: int
    step: int = 0
    file: str
    sha256: str
    size: int


class Offer(BaseModel):
    """The checkpoint to resume from instead; null if the job must start over."""

    resume: Resume | None


class Input(BaseModel):
    """An input file of the job. `name` tells its purpose, `file` the name to fetch it by."""

    name: str
    file: str
    sha256: str
    size: int


class Claimed(BaseModel):
    """A job, and the right to report on it while the lease is renewed."""

    job_id: UUID
    kind: JobKind
    name: str | None
    spec: dict[str, Any]
    attempt_id: UUID
    attempt: int
    token: str
    lease_seconds: float
    threads: int
    pause_after: int | None = Field(None, description="the epoch after which the attempt ends, with a pause")
    resume: Resume | None
    inputs: list[Input] = Field(default_factory=list)


class Heartbeat(_Message):
    """A sign of life with the job's progress.

    `hold`: seconds by which the response may be delayed while the directive is "continue". `seconds`: the run time of
    the attempt by the worker's own clock. `joules`: the energy of its GPUs since then, where they tell.
    """

    progress: Progress | None = None
    seconds: float | None = Field(None, ge=0, le=1e10, allow_inf_nan=False)
    joules: float | None = Field(None, ge=0, le=1e15, allow_inf_nan=False)
    hold: float = Field(0.0, ge=0, le=60)


class Directive(BaseModel):
    """The directive to a worker. A cancelled or superseded attempt gets 409 instead.

    at_once: pause before the next step, to make room; otherwise after the epoch.
    """

    directive: Literal["continue", "pause"]
    at_once: bool = False

    @classmethod
    def at(cls, status: str, *, makes_room: bool) -> Directive:
        """The directive for a job with this status. makes_room: whether it is to return to the queue."""
        return cls(directive="pause" if makes_room or status == Status.PAUSING else "continue", at_once=makes_room)


class StoredFile(BaseModel):
    """A stored file."""

    name: str
    sha256: str
    size: int


class ReportedFile(_Message):
    """A file that was uploaded before the report that names it."""

    name: FileName
    sha256: Sha256


class DamagedFile(_Message):
    """A file from the claim that the worker received damaged."""

    file: FileName


# The job's kind determines the model, which the service validates.
Result = Annotated[
    dict[str, Any], BeforeValidator(lambda v: v.model_dump(mode="json") if isinstance(v, BaseModel) else v)
]


class EpochReport(_Message):
    """A finished epoch, whose checkpoint was uploaded before."""

    n: ReportNumber
    epoch: int = Field(ge=1, lt=2**31)
    metrics: dict[MetricName, Number] = Field(max_length=500)
    seconds: Number = Field(ge=0)
    genotype: StoredGenotype | None = None
    alphas: Alphas | None = None
    strengths: Strengths | None = Field(
        None, description="the expected weights of the operations, in tables like the alphas' of the cells"
    )
    result: Result | None = None
    stopped_early: Text | None = Field(None, max_length=2000, description="why this is the last epoch of the job")
    warnings: list[Text] = Field(default_factory=list, max_length=100, description="appended to the job's log")
    waited: Number | None = Field(None, ge=0, description="seconds from the epoch's end to the sending of this report")
    checkpoint: FileName = Field(description="the epoch's file: a checkpoint, or a score's logits")
    sha256: Sha256
    files: list[ReportedFile] = Field(default_factory=list, max_length=10, description="further files of the epoch")


class PartialReport(_Message):
    """A checkpoint saved within the epoch after `epoch`, uploaded before."""

    n: ReportNumber
    epoch: int = Field(ge=0, lt=2**31, description="the last finished epoch; 0 within the first")
    step: int = Field(ge=1, lt=2**31, description="steps done in the present epoch")
    checkpoint: FileName
    sha256: Sha256


class LogEntry(_Message):
    """A log line of an attempt."""

    time: datetime
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: Text = Field(max_length=50_000)


class LogReport(_Message):
    """Log lines, in order."""

    n: ReportNumber
    lines: list[LogEntry] = Field(max_length=1000)


class Finish(_Message):
    """The job's success; all epochs were reported before."""

    n: ReportNumber


class Fail(_Message):
    """The end of an attempt without success.

    `failed`: the job cannot succeed and is not retried. `lost`: the worker died; the job resumes from its last epoch.
    """

    n: ReportNumber | None = None
    outcome: Literal["failed", "lost"]
    error: Failure


class Release(_Message):
    """The release of a job: the worker shuts down, was asked to pause, or has a full disk."""

    n: ReportNumber | None = None
    reason: Literal["shutdown", "pause", "disk_full"]
    detail: Text = Field("", max_length=4000)
