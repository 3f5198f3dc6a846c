"""Defines the tables. Only api/ reads and writes them (docs/architecture.md, contract 1)."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from api.artifacts.store import Stored
from api.auth.principal import current_owner
from api.schemas.datasets import DatasetState
from api.schemas.jobs import AttemptStatus, Status
from api.schemas.keys import Role
from api.schemas.schedules import Outcome
from api.schemas.webhooks import DeliveryState
from darts_core.genotypes.derive import Strengths, strengths_of

JsonObject = dict[str, Any]
# The order of listings (api/jobs/listing.py). Ids are never null; `nulls last` keeps the planner from reading the
# primary key, which has the other order, row by row for the few rows that a filter selects.
_NEWEST = "{} desc nulls last"


class Member(TypeDecorator[StrEnum]):
    """A member of an enum, stored as text. A CHECK constraint on the column, `_members_only`, refuses other values."""

    impl = Text
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.enum(value)


def _members_only(column: str, enum: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} in {tuple(map(str, enum))}", name=column)


class Base(DeclarativeBase):
    """Types and constraint names shared by all tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own hook
        JsonObject: JSONB,
        datetime: DateTime(timezone=True),
        str: Text,
        Status: Member(Status),
        AttemptStatus: Member(AttemptStatus),
        DatasetState: Member(DatasetState),
        DeliveryState: Member(DeliveryState),
        Outcome: Member(Outcome),
        Role: Member(Role),
    }
    metadata = MetaData(
        naming_convention={
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Job(Base):
    """A job's request and state. The row is authoritative; broker messages only wake workers.

    A child of a composite job (study or committee) has a parent and a stage that is unique within it.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        _members_only("status", Status),
        # The order of claims (api/jobs/queue_order.py). UUIDv7 ids sort by time.
        Index(
            "ix_jobs_queue",
            "pool",
            "gpus",
            "priority",
            text("coalesce(owner, '')"),
            text("coalesce(project, '')"),
            "id",
            postgresql_where=text("status = 'queued' and hold is null"),
        ),
        Index("ix_jobs_owner_claimable", "owner", "id", postgresql_where=text("status = 'queued' and hold is null")),
        Index("ix_jobs_held", "owner", postgresql_where=text("hold is not null")),
        Index(
            "ix_jobs_timed",
            "id",
            postgresql_where=text(
                "(not_before is not null or time_window is not null) and status in ('queued', 'running')"
            ),
        ),
        Index("ix_jobs_list", "kind", "status", text(_NEWEST.format("id"))),
        Index("ix_jobs_owner_list", "owner", "kind", "status", text(_NEWEST.format("id"))),
        Index(
            "ix_jobs_roots", "kind", "status", text(_NEWEST.format("id")), postgresql_where=text("parent_id is null")
        ),
        Index("ix_jobs_costs_due", "id", postgresql_where=text("costs_due")),
        UniqueConstraint("parent_id", "stage"),
        Index("ix_jobs_owner_queued", "owner", postgresql_where=text("status = 'queued'")),
        # Speeds up the deletion of referenced jobs.
        Index("ix_jobs_source", "source_id", postgresql_where=text("source_id is not null")),
        # Of lineages (api/lineage/graph.py).
        Index("ix_jobs_dataset", text("(spec ->> 'dataset')"), text(_NEWEST.format("id"))),
        Index(
            "ix_jobs_started_from",
            text("(spec #>> '{init_from,job}')"),
            postgresql_where=text("(spec #>> '{init_from,job}') is not null"),
        ),
        Index(
            "ix_jobs_scored",
            text("(spec #>> '{checkpoint,id}')"),
            postgresql_where=text("(spec #>> '{checkpoint,id}') is not null"),
        ),
        Index(
            "ix_jobs_members",
            text("(spec -> 'members') jsonb_path_ops"),
            postgresql_using="gin",
            postgresql_where=text("kind = 'ensemble'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    project: Mapped[str | None]
    name: Mapped[str | None]
    labels: Mapped[JsonObject]
    notes: Mapped[str | None]
    priority: Mapped[int]
    preemptible: Mapped[bool] = mapped_column(server_default=true())
    pool: Mapped[str]
    gpus: Mapped[int]
    max_attempts: Mapped[int]
    max_runtime: Mapped[int | None]
    not_before: Mapped[datetime | None]
    window: Mapped[str | None] = mapped_column("time_window")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    # No rule of retention clears its checkpoints or those of its children.
    pinned: Mapped[bool] = mapped_column(default=False, server_default=false())
    spec: Mapped[JsonObject]
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    stage: Mapped[str | None]

    status: Mapped[Status]
    status_reason: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    lost_attempts: Mapped[int] = mapped_column(default=0)
    threads: Mapped[int | None]
    worker: Mapped[str | None]
    # Why it may not run now: a queued job is not claimed, a running one saves its state and returns to the queue.
    hold: Mapped[str | None]
    # Of a running job that saves its state for an urgent one.
    preempted_by: Mapped[UUID | None]
    preemptions: Mapped[int] = mapped_column(default=0, server_default="0")
    # Of a study's trial: the epoch after which its study decides whether it goes on.
    pause_after: Mapped[int | None]
    progress: Mapped[JsonObject | None]
    metrics: Mapped[JsonObject | None]
    best: Mapped[JsonObject | None]
    # Of the network that it trains, or that its cell would be retrained in: `parameters` and `multiply_adds`.
    costs: Mapped[JsonObject | None]
    costs_due: Mapped[bool] = mapped_column(default=False, server_default=false())
    result: Mapped[JsonObject | None]
    error: Mapped[JsonObject | None]
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def makes_room(self) -> bool:
        """Whether it saves its state between two steps and returns to the queue, if it runs."""
        return self.preempted_by is not None or self.hold is not None


class JobLabel(Base):
    """Indexes `jobs.labels` together with the other filters of listings. A trigger keeps it in step with the job's row.

    A GIN index would return all jobs of a label at once, in no order.
    """

    __tablename__ = "job_labels"
    __table_args__ = (
        _members_only("status", Status),
        Index("ix_job_labels_value", "key", "value", "kind", "status", text(_NEWEST.format("job_id"))),
        Index("ix_job_labels_key", "key", "kind", "status", text(_NEWEST.format("job_id"))),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    kind: Mapped[str]
    status: Mapped[Status]


class JobMetric(Base):
    """Indexes a job's costs and metrics: those of its best epoch, otherwise of its latest. Triggers keep it in step."""

    __tablename__ = "job_metrics"
    __table_args__ = (
        _members_only("status", Status),
        Index("ix_job_metrics_value", "metric", "value", "job_id"),
        Index("ix_job_metrics_list", "metric", "kind", "status", "value", "job_id"),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float] = mapped_column(Double)
    kind: Mapped[str]
    status: Mapped[Status]


class JobText(Base):
    """What a search for jobs reads, in lower case: names, ids, labels, data sets, owners. Triggers keep it in step."""

    __tablename__ = "job_texts"
    __table_args__ = (
        Index("ix_job_texts_name", "name", "job_id", postgresql_where=text("name is not null")),
        Index("ix_job_texts_text", "text", postgresql_using="gin", postgresql_ops={"text": "gin_trgm_ops"}),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str | None]
    text: Mapped[str]


class Attempt(Base):
    """One worker's attempt at a job, fenced by its token and kept alive by its lease."""

    __tablename__ = "attempts"
    __table_args__ = (
        _members_only("status", AttemptStatus),
        UniqueConstraint("job_id", "number"),
        # A repeated claim finds its attempt by the token.
        UniqueConstraint("token_hash"),
        # Has one entry per busy worker. It omits the lease, so that heartbeats need not update the index.
        Index("ix_attempts_running", "worker", postgresql_where=text("status = 'running'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    worker: Mapped[str]
    token_hash: Mapped[str]
    status: Mapped[AttemptStatus]
    end_reason: Mapped[str | None]
    last_report: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_expires_at: Mapped[datetime]
    renewed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Run time up to `renewed_at` or the end: see api/jobs/run_time.py.
    seconds: Mapped[float] = mapped_column(Double, server_default="0")
    joules: Mapped[float | None] = mapped_column(Double)
    step_event_at: Mapped[datetime | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class Usage(Base):
    """What an ended attempt took. The row stays when its job is deleted, so it refers to none.

    lost_seconds: of `seconds`, those that a lost attempt had not stored.
    """

    __tablename__ = "usage"
    __table_args__ = (Index("ix_usage_ended_at", "ended_at"),)

    attempt_id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID]
    kind: Mapped[str]
    owner: Mapped[str | None]
    project: Mapped[str | None]
    device: Mapped[str | None]
    gpus: Mapped[int]
    seconds: Mapped[float] = mapped_column(Double)
    lost_seconds: Mapped[float] = mapped_column(Double)
    joules: Mapped[float | None] = mapped_column(Double)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]


class Share(Base):
    """The GPU-seconds that an owner's jobs of a project have had, decayed to `counted_at`. Empty names are none."""

    __tablename__ = "shares"

    owner: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    gpu_seconds: Mapped[float] = mapped_column(Double)
    counted_at: Mapped[datetime]


class Budget(Base):
    """The GPU-hours that an owner's jobs may have in a calendar month (UTC), and the months in which it was told so."""

    __tablename__ = "budgets"

    owner: Mapped[str] = mapped_column(primary_key=True)
    gpu_hours: Mapped[float] = mapped_column(Double)
    warned_month: Mapped[date | None]
    exhausted_month: Mapped[date | None]


class OwnerMonth(Base):
    """The GPU-seconds that an owner's ended attempts have had in a calendar month (UTC), whose first day is `month`."""

    __tablename__ = "owner_months"

    owner: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    gpu_seconds: Mapped[float] = mapped_column(Double)


class Epoch(Base):
    """The report of a finished epoch; the key prevents a repeated report from adding it twice."""

    __tablename__ = "epochs"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    metrics: Mapped[JsonObject]
    seconds: Mapped[float]
    genotype: Mapped[JsonObject | None]
    alphas: Mapped[JsonObject | None]
    reported_strengths: Mapped[JsonObject | None] = mapped_column("strengths")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def strengths(self) -> Strengths | None:
        """The operation strengths of a search, also of an epoch that a worker reported without them."""
        return strengths_of(self.alphas, self.reported_strengths)


class Checkpoint(Base):
    """A stored file of a job; `key` is its key in the artifact store.

    Epoch 0 holds the job's input. `step` is null for a file saved at the end of an epoch. A partial checkpoint, saved
    within the epoch after `epoch`, has the number of steps done; a job has at most one, until that epoch is stored.
    """

    __tablename__ = "checkpoints"
    __table_args__ = (
        Index("ix_checkpoints_job", "job_id", "epoch"),
        Index("ix_checkpoints_given", "sha256", postgresql_where=text("epoch = 0")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    step: Mapped[int | None]
    attempt: Mapped[int]
    key: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[JsonObject]
    # Stays until its job is deleted.
    pinned: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def stored(self) -> Stored:
        return Stored(self.key, self.sha256, self.size)

    @property
    def name(self) -> str:
        """The name given by the worker, without the checksum in the key."""
        return self.key.rpartition("/")[2].removeprefix(f"{self.sha256}-")


class RetentionRule(Base):
    """The checkpoints that ended jobs of an owner and a kind keep; an empty name stands for all.

    own: set by that owner, not by an admin.
    """

    __tablename__ = "retention_rules"

    own: Mapped[bool] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int]
    best: Mapped[bool]
    every: Mapped[int | None]
    days: Mapped[int]


class Upload(Base):
    """An uploaded checkpoint. Equal uploads share one file, stored by its SHA-256.

    `about`: statements of the file and its owner, such as data set, classes and, in the authors' format, the genotype.
    """

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_sha256", "sha256"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    format: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    about: Mapped[JsonObject]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Schedule(Base):
    """When to submit which job. next_at: when it is due; null while it is paused, and once it has ended.

    key_id: the key of its creator, whose quotas its jobs count against. error: why its last time brought no job.
    """

    __tablename__ = "schedules"
    __table_args__ = (Index("ix_schedules_due", "next_at", postgresql_where=text("next_at is not null")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("keys.id"))
    name: Mapped[str | None]
    cron: Mapped[str]
    time_zone: Mapped[str]
    kind: Mapped[str]
    request: Mapped[JsonObject]
    overlap: Mapped[str]
    until: Mapped[datetime | None]
    runs: Mapped[int | None]
    made: Mapped[int] = mapped_column(default=0, server_default="0")
    paused: Mapped[bool] = mapped_column(server_default=false())
    next_at: Mapped[datetime | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ScheduledRun(Base):
    """What a schedule did at one of its times. The key prevents two jobs for one time."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        _members_only("outcome", Outcome),
        UniqueConstraint("schedule_id", "planned_at"),
        Index("ix_schedule_runs_list", "schedule_id", text("id desc")),
        # Speeds up the deletion of referenced jobs.
        Index("ix_schedule_runs_job", "job_id", postgresql_where=text("job_id is not null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    planned_at: Mapped[datetime]
    outcome: Mapped[Outcome]
    reason: Mapped[str | None]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RegisteredModel(Base):
    """A name for checkpoints of one family. newest: the number given last, also to a version that was deleted."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    family: Mapped[str]
    newest: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ModelVersion(Base):
    """A checkpoint of a job, or an uploaded one, as a version of a model. Its file cannot be deleted."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("model", "number"),
        UniqueConstraint("model", "stage"),
        CheckConstraint("(checkpoint_id is null) <> (upload_id is null)", name="one_file"),
        Index("ix_model_versions_checkpoint", "checkpoint_id"),
        Index("ix_model_versions_upload", "upload_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(ForeignKey("models.name", ondelete="CASCADE"))
    number: Mapped[int]
    checkpoint_id: Mapped[UUID | None] = mapped_column(ForeignKey("checkpoints.id"))
    upload_id: Mapped[UUID | None] = mapped_column(ForeignKey("uploads.id"))
    stage: Mapped[str | None]
    note: Mapped[str | None]
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Event(Base):
    """An entry of a job's append-only event log; `sequence` has no gaps within a job."""

    __tablename__ = "events"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str]
    data: Mapped[JsonObject]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Worker(Base):
    """A worker process and its last report."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    pools: Mapped[list[str]] = mapped_column(ARRAY(Text))
    gpus: Mapped[int]
    device: Mapped[str]
    version: Mapped[str]
    load: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    datasets: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    dataset_bytes: Mapped[int | None] = mapped_column(BigInteger)
    free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen: Mapped[datetime]


class RegisteredGenotype(Base):
    """A genotype that a user has named."""

    __tablename__ = "genotypes"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    family: Mapped[str]
    genotype: Mapped[JsonObject]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """A creating request that may be repeated: the same key and body get the first response."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_job", "job_id"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Webhook(Base):
    """Where an owner's events go, or one job's. It outlives the job, whose last messages may still be due.

    sealed: its URL and the secret of its signatures, encrypted.
    """

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_owner", "owner"), Index("ix_webhooks_job", "job_id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    name: Mapped[str | None]
    host: Mapped[str]
    sealed: Mapped[bytes]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    job_id: Mapped[UUID | None]
    body: Mapped[str]
    disabled: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Delivery(Base):
    """A message to a webhook, stored by the transaction of what it tells of, and its tries.

    `next_at` of a pending one is its next try; a try in progress has it ahead of its end, in case its process dies.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        _members_only("state", DeliveryState),
        Index("ix_webhook_deliveries_webhook", "webhook_id", text("id desc")),
        Index("ix_webhook_deliveries_due", "next_at", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    type: Mapped[str]
    job_id: Mapped[UUID | None]
    body: Mapped[str]
    state: Mapped[DeliveryState] = mapped_column(default=DeliveryState.PENDING)
    tries: Mapped[int] = mapped_column(default=0)
    status: Mapped[int | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    next_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    delivered_at: Mapped[datetime | None]


class Dataset(Base):
    """An uploaded data set. Its packed file is stored by checksum, so two names may share one.

    `request`: how to obtain the data. `info`: the dimensions of a ready set. `report`: the check's report.
    """

    __tablename__ = "datasets"
    __table_args__ = (
        _members_only("state", DatasetState),
        Index("ix_datasets_checksum", "checksum"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    kind: Mapped[str]
    request: Mapped[JsonObject]
    state: Mapped[DatasetState]
    error: Mapped[str | None]
    checksum: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    info: Mapped[JsonObject | None]
    report: Mapped[JsonObject | None]
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    body_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    checked_at: Mapped[datetime | None]


class Key(Base):
    """An API key, found by `lookup` and verified by the hash of the whole key.

    `owner` owns everything created with it. A null limit means the service's default. A revoked key keeps its row.
    """

    __tablename__ = "keys"
    __table_args__ = (_members_only("role", Role),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[Role]
    owner: Mapped[str]
    lookup: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    queued_jobs: Mapped[int | None]
    upload_bytes_per_day: Mapped[int | None] = mapped_column(BigInteger)
    requests_per_second: Mapped[float | None]
    dataset_bytes: Mapped[int | None] = mapped_column(BigInteger)
    priority: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Identity(Base):
    """A person of the identity provider, known there as `subject`. `key_id`: the key that stands for their sessions.

    All keys of `owner` have at most the role of that key.
    """

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    owner: Mapped[str] = mapped_column(primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    label: Mapped[str]
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"))
    logged_in_at: Mapped[datetime]


class BrowserSession(Base):
    """A browser's session, opened with a key or by a login at the identity provider.

    Stores only the hash of the cookie.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_expires", "expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class Audit(Base):
    """A request that may have changed something. It may refer to deleted rows, and outlives them."""

    __tablename__ = "audit"
    __table_args__ = (
        _members_only("role", Role),
        Index("ix_audit_key", "key_id", "id"),
        Index("ix_audit_job", "job_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    method: Mapped[str]
    path: Mapped[str]
    status: Mapped[int]
    key_id: Mapped[UUID | None]
    owner: Mapped[str | None]
    role: Mapped[Role]
    job_id: Mapped[UUID | None]
