"""Reports the service's health, readiness, version and workers."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import APIRouter, Response

from api.db.revisions import head_revision
from api.deps import BackgroundTasks, Broker, Db, Workers
from api.http.problems import documented
from api.schemas.operation import Health, Readiness, Version, WorkerList
from darts_core.runtime.version import VERSION

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> Health:
    """Liveness: the process responds."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "a part is not ready"}})
async def readyz(database: Db, broker: Broker, background: BackgroundTasks, response: Response) -> Readiness:
    """Readiness of the database, the migrations, the broker and the background tasks. 503 names the failing part."""
    found: dict[str, str | None] = {}

    async def migrations() -> None:
        found["revision"] = await database.revision()

    answers = {
        "database": await _check(migrations(), "DATABASE_URL"),
        "broker": await _check(broker.ping(), "REDIS_URL"),
    }
    revision, head = found.get("revision"), head_revision()
    if "revision" not in found:
        answers["migrations"] = "unknown while the database is unreachable"
    elif revision == head:
        answers["migrations"] = "ok"
    else:
        answers["migrations"] = f"at {revision}, this version requires {head}: run `python -m api.migrate`"
    answers["background"] = "; ".join(background.problems()) or "ok"
    ready = all(a == "ok" for a in answers.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, **answers)


async def _check(question: Awaitable[None], setting: str) -> str:
    try:
        await question
    except Exception as error:  # the driver raises many types; the response names the type
        return f"unreachable ({type(error).__name__}): is it running, and is {setting} correct?"
    return "ok"


@router.get("/version")
async def version() -> Version:
    """The version of the service."""
    return Version(version=VERSION)


@router.get("/workers", responses=documented(503))
async def list_workers(workers: Workers) -> WorkerList:
    """All workers ever seen, with their current jobs."""
    return WorkerList(items=await workers.list())
