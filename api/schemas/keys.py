"""Defines the schemas of keys, sessions and the audit log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Without slashes and line breaks, since names are part of log lines and stored idempotency keys.
OwnerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]


class Role(StrEnum):
    """The role of a key; docs/operations.md lists each role's permissions."""

    VIEWER = "viewer"
    USER = "user"
    ADMIN = "admin"
    WORKER = "worker"


class KeyLimits(BaseModel):
    """The quotas of one key; null means the service's default."""

    queued_jobs: int | None = Field(None, ge=0, lt=2**31, description="the owner's jobs that may be queued at a time")
    upload_bytes_per_day: int | None = Field(None, ge=0, lt=2**63)
    requests_per_second: float | None = Field(
        None, gt=0, le=1e6, allow_inf_nan=False, description="on average; bursts of up to five seconds' worth"
    )
    dataset_bytes: int | None = Field(None, ge=0, lt=2**63, description="total size of the owner's packed data sets")
    priority: int | None = Field(None, ge=0, le=9, description="the highest that it may give to a job; admins may any")


class KeyCreate(BaseModel):
    """A key to create. Everything created with it belongs to `owner`, as with the owner's other keys."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    owner: OwnerName | None = Field(None, description="by default the caller")
    limits: KeyLimits = Field(default_factory=KeyLimits)


class KeyOut(BaseModel):
    """A key without its secret. `last_used_at` is exact to a minute."""

    id: UUID
    role: Role
    owner: str
    limits: KeyLimits
    person: str | None = Field(None, description="whose logins at the identity provider it stands for; null for others")
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyCreated(KeyOut):
    """A new key with its secret, which is shown only once."""

    key: str


class KeyList(BaseModel):
    """One page, newest first."""

    items: list[KeyOut]
    next_cursor: str | None


class SessionOut(BaseModel):
    """The caller as authenticated by the service."""

    role: Role
    owner: str | None = Field(description="null for a local user without a key")
    person: str | None = Field(None, description="name of one who signed in at the identity provider")
    key_id: UUID | None
    expires_at: datetime | None = Field(description="end of the browser's session")
    keys_required: bool


class AuditEntry(BaseModel):
    """A request that could change something, with its response status."""

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
