"""Keys, sessions and the audit log on the wire."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# No slash, no line break: a name stands in log lines and in the keys that make requests repeatable.
OwnerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]


class Role(StrEnum):
    """What a key is for; docs/operations.md says what each may do."""

    VIEWER = "viewer"
    USER = "user"
    ADMIN = "admin"
    WORKER = "worker"


class KeyLimits(BaseModel):
    """What one key may use; null: as the service is set."""

    queued_jobs: int | None = Field(None, ge=0, lt=2**31, description="its owner's jobs that wait at one time")
    upload_bytes_per_day: int | None = Field(None, ge=0, lt=2**63)
    requests_per_second: float | None = Field(
        None, gt=0, le=1e6, allow_inf_nan=False, description="over time; five seconds' worth at once"
    )
    dataset_bytes: int | None = Field(
        None, ge=0, lt=2**63, description="of its owner's data sets, packed, that are kept at one time"
    )


class KeyCreate(BaseModel):
    """A key to make. What is made with it belongs to `owner`: who has two keys owns the same with both."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    owner: OwnerName
    limits: KeyLimits = Field(default_factory=KeyLimits)


class KeyOut(BaseModel):
    """A key without its secret. `last_used_at` is exact to a minute."""

    id: UUID
    role: Role
    owner: str
    limits: KeyLimits
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyCreated(KeyOut):
    """A new key, shown this once."""

    key: str


class KeyList(BaseModel):
    """One page, newest first."""

    items: list[KeyOut]
    next_cursor: str | None


class SessionOut(BaseModel):
    """Who the service takes the caller for."""

    role: Role
    owner: str | None = Field(description="null for a local user, who needs no key")
    key_id: UUID | None
    expires_at: datetime | None = Field(description="of a browser's session")
    keys_required: bool


class AuditEntry(BaseModel):
    """One request that could change something, and how it was answered."""

    id: UUID
    at: datetime
    method: str
    path: str
    status: int
    key_id: UUID | None = Field(description="null without keys")
    owner: str | None
    role: Role
    job_id: UUID | None


class AuditList(BaseModel):
    """One page, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None
