"""The service about itself."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.worker import DeviceLoad


class Health(BaseModel):
    """The process is up."""

    status: str = "ok"


class Readiness(BaseModel):
    """Each part the service needs, `ok` or what is wrong with it."""

    ready: bool
    database: str
    broker: str
    migrations: str
    background: str


class Version(BaseModel):
    """What runs here."""

    version: str


class WorkerOut(BaseModel):
    """A worker as it last showed itself; `job_id`: what it runs now."""

    name: str
    pools: list[str]
    gpus: int
    device: str
    version: str
    first_seen: datetime
    last_seen: datetime
    alive: bool
    load: list[DeviceLoad] = Field(description="of each of its devices, when it was last seen")
    job_id: UUID | None


class WorkerList(BaseModel):
    """All workers."""

    items: list[WorkerOut]
