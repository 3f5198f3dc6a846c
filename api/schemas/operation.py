"""Defines the schemas of the service's operation: health, readiness, version and workers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.worker import DeviceLoad


class Health(BaseModel):
    """The process is up."""

    status: str = "ok"


class Readiness(BaseModel):
    """The state of each part that the service needs: `ok`, or the problem."""

    ready: bool
    database: str
    broker: str
    migrations: str
    background: str


class Version(BaseModel):
    """The version of the service."""

    version: str


class WorkerOut(BaseModel):
    """A worker's last report; `job_id` is its current job."""

    name: str
    pools: list[str]
    gpus: int
    device: str
    version: str
    first_seen: datetime
    last_seen: datetime
    alive: bool
    dataset_bytes: int | None = Field(None, description="of its copies of uploaded data sets")
    free_bytes: int | None = Field(None, description="of the disk of its data sets")
    load: list[DeviceLoad] = Field(description="of each of its devices, at its last report")
    job_id: UUID | None


class WorkerList(BaseModel):
    """All workers ever seen."""

    items: list[WorkerOut]
