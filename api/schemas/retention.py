"""Defines the schemas of retention."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.jobs import JobKind


class RetentionSet(BaseModel):
    """The checkpoints that ended jobs keep. All others are cleared, except pinned ones."""

    model_config = ConfigDict(extra="forbid")

    last: int = Field(1, ge=0, lt=2**31, description="so many of the newest; 0: a job that succeeded need keep none")
    best: bool = Field(True, description="that of the best epoch, by the job's `objective`")
    every: int | None = Field(None, ge=1, lt=2**31, description="those of each n-th epoch")
    days: int = Field(ge=0, le=36_500, description="from the end of a job, and of its study, until it is cleared")


class RetentionOut(RetentionSet):
    """A rule of an admin, or an owner's own one. A checkpoint is cleared unless both the admins' and the owner's rule
    keep it; of each, the rule that names the owner comes before one for all, then the one that names the kind.
    """

    own: bool = Field(description="set by the owner, not by an admin")
    owner: str | None = Field(None, description="null for all owners")
    kind: JobKind | None = Field(None, description="null for all kinds that train")


class RetentionList(BaseModel):
    """All rules, the admins' first."""

    items: list[RetentionOut]


class ClearableOwner(BaseModel):
    """The checkpoints of one owner that would be cleared."""

    owner: str | None
    jobs: int
    checkpoints: int
    bytes: int


class ClearableJob(BaseModel):
    """The epochs of a job whose checkpoints would be cleared."""

    id: UUID
    kind: JobKind
    owner: str | None
    name: str | None
    epochs: list[int]
    bytes: int


class RetentionPreview(BaseModel):
    """What a sweep would clear now, the most bytes first. `jobs` is limited, the sums are not."""

    checkpoints: int
    bytes: int
    owners: list[ClearableOwner]
    jobs: list[ClearableJob]


class Cleared(BaseModel):
    """What a sweep has cleared."""

    checkpoints: int = 0
    bytes: int = Field(0, description="of these checkpoints")
    orphans: int = Field(0, description="files without a row, such as those of a process that died")
    orphan_bytes: int = 0
