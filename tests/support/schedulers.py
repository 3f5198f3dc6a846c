"""Passes of schedulers beside a service, as of other API processes.

`python -m tests.support.schedulers DATABASE_URL REDIS_URL ARTIFACTS` runs one, for a test that kills it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from api.artifacts.local import LocalArtifacts
from api.composite.driver import TreeDriver
from api.db.engine import Database
from api.events.hub import EventHub
from api.jobs.service import JobService
from api.jobs.sweeper import waker_and_sweeper
from api.jobs.wakeups import Wakeups
from api.schedules.scheduler import Scheduler
from api.settings import get_settings
from tests.support.references import references_of
from tests.support.service import Service


@asynccontextmanager
async def _scheduler(database_url: str, redis_url: str, root: Path) -> AsyncIterator[Scheduler]:
    database, wakeups, artifacts = Database(database_url), Wakeups(redis_url), LocalArtifacts(root, 2**30)
    try:
        settings, named = get_settings(), references_of(database, artifacts, root)
        waker, _ = waker_and_sweeper(database, wakeups, settings)
        trees = TreeDriver(database, EventHub(database), waker, artifacts, named, sweep_seconds=1)
        yield Scheduler(
            database, JobService(database, waker, artifacts, trees), named, settings.key_limits, settings.oidc_key_days
        )
    finally:
        await wakeups.close()
        await database.close()


async def passes(count: int, database_url: str, redis_url: str, root: Path) -> None:
    """So many passes at once, each like one of an API process."""
    async with AsyncExitStack() as stack:
        each = [await stack.enter_async_context(_scheduler(database_url, redis_url, root)) for _ in range(count)]
        await asyncio.gather(*(scheduler.submit_due() for scheduler in each))


def run_passes(service: Service, count: int = 1) -> None:
    asyncio.run(passes(count, service.database_url, service.broker_url, service.data / "artifacts"))


if __name__ == "__main__":
    asyncio.run(passes(1, sys.argv[1], sys.argv[2], Path(sys.argv[3])))
