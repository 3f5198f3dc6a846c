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
from api.jobs.sweeper import waker_and_sweeper
from api.jobs.wakeups import Wakeups
from api.settings import Settings


async def measure(settings: Settings, times: int) -> dict[str, list[float]]:
    """Milliseconds of each pass, by task."""
    database = Database(settings.database_url.get_secret_value())
    wakeups = Wakeups(settings.redis_url.get_secret_value())
    waker, sweeper = waker_and_sweeper(database, wakeups, settings)
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
