"""Times one pass of each background task in ms and prints JSON: `python -m api.jobs.probes`.

Reads only: ends no lease and wakes no worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from api.db.engine import Database
from api.jobs.max_runtime import RuntimeLimits
from api.jobs.preemption import Preemption
from api.jobs.sweeper import Sweeper
from api.jobs.waker import Waker
from api.jobs.wakeups import Wakeups
from api.settings import Settings


async def measure(settings: Settings, times: int) -> dict[str, list[float]]:
    """Milliseconds of each pass, by task."""
    database = Database(settings.database_url.get_secret_value())
    wakeups = Wakeups(settings.redis_url.get_secret_value())
    presence = settings.presence_seconds
    preemption = Preemption(
        database,
        presence_seconds=presence,
        remaining_seconds=settings.preempt_remaining_seconds,
        again_seconds=settings.preempt_again_seconds,
    )
    waker = Waker(database, wakeups, preemption, pause_seconds=settings.wake_seconds, presence_seconds=presence)
    sweeper = Sweeper(database, waker, lease_seconds=settings.lease_seconds, sweep_seconds=settings.sweep_seconds)
    passes: dict[str, Callable[[], Awaitable[object]]] = {
        "sweeper": sweeper.expired,
        "run_times": RuntimeLimits(database).over,
        "waker": waker.wanted,
    }
    taken: dict[str, list[float]] = {name: [] for name in passes}
    try:
        for number in range(times + 1):
            for name, run_pass in passes.items():
                start = time.perf_counter()
                await run_pass()
                if number:  # the first pass opens the connection
                    taken[name].append(1000 * (time.perf_counter() - start))
    finally:
        await wakeups.close()
        await database.close()
    return taken


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m api.jobs.probes")
    parser.add_argument("--times", type=int, default=20)
    print(json.dumps(asyncio.run(measure(Settings(), parser.parse_args().times))))
