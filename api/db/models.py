"""The tables. Only api/ reads or writes them (docs/architecture.md, contract 1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Double, ForeignKey, Index, MetaData, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from api.artifacts.store import Stored
from api.auth.principal import current_owner

JsonObject = dict[str, Any]
# The order of lists (api/jobs/listing.py). Ids are never null: nulls last keeps the primary key, which is in the other
# order then, from being read row by row for the few that a filter wants.
_NEWEST = "{} desc nulls last"


class Base(DeclarativeBase):
    """Types and constraint names that all tables share."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own hook
        JsonObject: JSONB,
        datetime: DateTime(timezone=True),
        str: Text,
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Job(Base):
    """What was asked, and where it stands. The row is the truth; messages only wake.

    A child of a tree (a study, a committee) has its parent, and a stage that names it there.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        # The claim's order: what fits the worker, the highest priority, then the oldest (a UUIDv7 sorts by its time).
        Index("ix_jobs_queue", "pool", "gpus", text("priority desc"), "id", postgresql_where=text("status = 'queued'")),
        Index("ix_jobs_list", "kind", "status", text(_NEWEST.format("id"))),
        UniqueConstraint("parent_id", "stage"),
        Index("ix_jobs_owner_queued", "owner", postgresql_where=text("status = 'queued'")),
        # For the deletion of what it refers to.
        Index("ix_jobs_source", "source_id", postgresql_where=text("source_id is not null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    name: Mapped[str | None]
    labels: Mapped[JsonObject]
    priority: Mapped[int]
    pool: Mapped[str]
    gpus: Mapped[int]
    max_attempts: Mapped[int]
    max_runtime: Mapped[int | None]
    spec: Mapped[JsonObject]
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    stage: Mapped[str | None]

    status: Mapped[str]
    status_reason: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    lost_attempts: Mapped[int] = mapped_column(default=0)
    threads: Mapped[int | None]
    worker: Mapped[str | None]
    progress: Mapped[JsonObject | None]
    metrics: Mapped[JsonObject | None]
    best: Mapped[JsonObject | None]
    result: Mapped[JsonObject | None]
    error: Mapped[JsonObject | None]
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobLabel(Base):
    """An index of `jobs.labels` with what else lists choose by. The job's row is the truth: a trigger follows it.

    A GIN index would find a label's jobs, but all of them at once and in no order.
    """

    __tablename__ = "job_labels"
    __table_args__ = (
        Index("ix_job_labels_value", "key", "value", "kind", "status", text(_NEWEST.format("job_id"))),
        Index("ix_job_labels_key", "key", "kind", "status", text(_NEWEST.format("job_id"))),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str]


class Attempt(Base):
    """One worker's try at a job, fenced by its token and kept alive by its lease."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "number"),
        # A claim that comes again finds by it what it got.
        UniqueConstraint("token_hash"),
        # As many as workers are busy. Without the lease in it: each heartbeat would write to the index, too.
        Index("ix_attempts_running", "worker", postgresql_where=text("status = 'running'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    worker: Mapped[str]
    token_hash: Mapped[str]
    status: Mapped[str]
    end_reason: Mapped[str | None]
    last_report: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_expires_at: Mapped[datetime]
    renewed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Up to `renewed_at`, or to the end: api/jobs/run_time.py.
    seconds: Mapped[float] = mapped_column(Double, server_default="0")
    step_event_at: Mapped[datetime | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class Epoch(Base):
    """What one finished epoch reported; keyed so that no repeated report can double it."""

    __tablename__ = "epochs"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    metrics: Mapped[JsonObject]
    seconds: Mapped[float]
    genotype: Mapped[JsonObject | None]
    alphas: Mapped[JsonObject | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Checkpoint(Base):
    """A stored file and what it is; `key` is its place in the artifact store.

    `epoch` 0 has what the job was given to work on. `step` is null for what was made at an epoch's end. A partial
    checkpoint, made in the middle of the epoch behind `epoch`, has the steps done of it; a job has at most one, and
    none longer than until that epoch is stored.
    """

    __tablename__ = "checkpoints"
    __table_args__ = (Index("ix_checkpoints_job", "job_id", "epoch"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    step: Mapped[int | None]
    attempt: Mapped[int]
    key: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[JsonObject]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def stored(self) -> Stored:
        """Its file, as it was stored."""
        return Stored(self.key, self.sha256, self.size)

    @property
    def name(self) -> str:
        """The name that its worker gave it; a key holds its checksum besides."""
        return self.key.rpartition("/")[2].removeprefix(f"{self.sha256}-")


class Upload(Base):
    """An uploaded checkpoint. Its file is stored by its SHA-256, so equal uploads share it.

    `about` is what the file and its owner say: data set, classes, and for the authors' format the genotype.
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


class Event(Base):
    """One entry of a job's append-only log; `sequence` has no gaps within a job."""

    __tablename__ = "events"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str]
    data: Mapped[JsonObject]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Worker(Base):
    """A worker process as it last showed itself."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    pools: Mapped[list[str]] = mapped_column(ARRAY(Text))
    gpus: Mapped[int]
    device: Mapped[str]
    version: Mapped[str]
    load: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    datasets: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen: Mapped[datetime]


class RegisteredGenotype(Base):
    """A name that a user gave a genotype."""

    __tablename__ = "genotypes"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    family: Mapped[str]
    genotype: Mapped[JsonObject]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """A creating request that may come again: the same key and body get the first answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_job", "job_id"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Dataset(Base):
    """An uploaded data set. Its packed file lies in the store under its checksum, which two names may share.

    `request`: how it was asked for. `info`: what is known of a ready one. `report`: what was skipped, and why.
    """

    __tablename__ = "datasets"
    __table_args__ = (Index("ix_datasets_checksum", "checksum"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str | None] = mapped_column(default=current_owner)
    kind: Mapped[str]
    request: Mapped[JsonObject]
    state: Mapped[str]
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
    """An API key, by which requests are known: found by `lookup`, recognised by the hash of the whole.

    What is made with it belongs to `owner`. Limits that are null are the service's. A revoked key keeps its row.
    """

    __tablename__ = "keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[str]
    owner: Mapped[str]
    lookup: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    queued_jobs: Mapped[int | None]
    upload_bytes_per_day: Mapped[int | None] = mapped_column(BigInteger)
    requests_per_second: Mapped[float | None]
    dataset_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class BrowserSession(Base):
    """A browser that has shown a key. Only the hash of its cookie is kept."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_expires", "expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class Audit(Base):
    """One request that could change something. Refers to rows that may be gone, and outlives them."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_key", "key_id", "id"), Index("ix_audit_job", "job_id", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    method: Mapped[str]
    path: Mapped[str]
    status: Mapped[int]
    key_id: Mapped[UUID | None]
    owner: Mapped[str | None]
    role: Mapped[str]
    job_id: Mapped[UUID | None]
