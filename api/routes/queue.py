"""Tells which queued job is taken next, and after which ones."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.deps import Db
from api.http.problems import documented
from api.jobs.queue_order import queue_of
from api.schemas.jobs import PoolName
from api.schemas.queue import JobOfQueue, QueueOut, RunningJob

router = APIRouter(prefix="/queue", tags=["operation"])


@router.get("", responses=documented(422, 503))
async def get_queue(
    database: Db,
    pool: Annotated[PoolName, Query()] = "default",
    gpus: Annotated[int, Query(ge=1, le=64, description="of each job; also of jobs on CPUs")] = 1,
    limit: Annotated[int, Query(ge=1, le=200, description="of each of the two lists")] = 100,
) -> QueueOut:
    """The first queued jobs of a pool in the order in which workers take them, and the running ones.

    An owner's turn depends on what all owners have had, so a new job may come before an older one.
    """
    async with database.transaction() as session:
        found = await queue_of(session, pool, gpus, limit)
    return QueueOut(
        queued=[JobOfQueue(**_fields(row)) for row in found.queued],
        running=[RunningJob(**_fields(row), progress=row.progress) for row in found.running],
    )


def _fields(row: Any) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in ("id", "kind", "name", "priority")}
    return {**named, "owner": row.owner or None, "project": row.project or None}
