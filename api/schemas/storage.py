"""Defines the schemas of disk use."""

from __future__ import annotations

from pydantic import BaseModel, Field


class OwnerStorage(BaseModel):
    """The bytes of an owner's files. A file that several of the owner's jobs share counts once."""

    owner: str | None = Field(description="null without keys")
    bytes: int
    jobs: dict[str, int] = Field(description="checkpoints and other files, by the kind of the job")
    uploads: int = Field(description="uploaded checkpoints")
    datasets: int = Field(description="uploaded data sets")


class Freeable(BaseModel):
    """What can be deleted now: an ended job with its children, an uploaded checkpoint, or an unused data set."""

    kind: str = Field(description="of the job; or `upload`, `dataset`")
    id: str = Field(description="a data set's name")
    name: str | None
    owner: str | None
    bytes: int = Field(description="that are free afterwards: files that others share are not counted")
    command: str = Field(description="that deletes it")


class WorkerStorage(BaseModel):
    """The copies of uploaded data sets that a live worker holds, at its last report."""

    name: str
    dataset_bytes: int
    free_bytes: int | None = Field(description="of that disk")


class StorageOut(BaseModel):
    """The disk use of all owners, the largest first."""

    bytes: int = Field(description="of all owners")
    free: int | None = Field(description="free bytes of the artifact store; null for a bucket")
    spare: int = Field(description="bytes of ended jobs' checkpoints besides the newest and the best of each job")
    owners: list[OwnerStorage]
    workers: list[WorkerStorage] = Field(description="those of one machine share their copies")
    frees_most: list[Freeable] = Field(description="the largest first")
