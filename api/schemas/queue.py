"""Defines the schemas of the queue."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.jobs import JobKind, Progress


class JobOfQueue(BaseModel):
    """A job that waits for a worker, or has one."""

    id: UUID
    kind: JobKind
    name: str | None
    owner: str | None = Field(description="null without keys")
    project: str | None
    priority: int


class RunningJob(JobOfQueue):
    """A job that has a worker."""

    progress: Progress | None


class QueueOut(BaseModel):
    """Jobs of one pool and number of GPUs. Held jobs are left out: their `status_reason` says until when."""

    queued: list[JobOfQueue] = Field(
        description="in the order in which workers take them, if no other job comes and none ends meanwhile"
    )
    running: list[RunningJob] = Field(description="oldest first")
