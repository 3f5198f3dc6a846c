"""Runs a filled service with a fleet of workers for each number of jobs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from benchmarks.fleet.filling import Middles, fill
from benchmarks.fleet.people import browse_lists, submit
from benchmarks.fleet.timing import Timed, client_of
from benchmarks.fleet.workers import SimulatedWorker
from client.local.stack import CODE, LocalStack
from client.sdk import Dartboard
from darts_core.runtime.process import Process

_POOL: Final = "bench-fleet"
# A single task would not keep up with the fleet.
_SUBMITTERS: Final = 8
_PATIENCE_SECONDS: Final = 300.0
_SEARCH: Final[dict[str, Any]] = {"dataset": "digits", "epochs": 1, "pool": _POOL}
_EVALUATION: Final[dict[str, Any]] = {**_SEARCH, "genotype": "DARTS_V2", "auxiliary": False}


def measure(
    *,
    jobs: Sequence[int],
    workers: int,
    seconds: float,
    job_seconds: float,
    data: Path | None = None,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure one row for each number of jobs, with as many queued as ended.

    All workers claim at once; then they work on jobs of `job_seconds` each, and each job that ends is replaced. CPU
    time and requests are counted over `seconds` of that; users page through lists for half as long again. Filling
    bypasses the service, everything else goes over HTTP. data: kept afterwards, with a folder for each number of jobs.
    """
    rows = []
    for count in jobs:
        with ExitStack() as open_things:
            folder = Path(open_things.enter_context(TemporaryDirectory())) if data is None else data / str(count)
            stack = open_things.enter_context(LocalStack(folder, port=0, workers=0))
            with Dartboard(stack.url, timeout=_PATIENCE_SECONDS) as dartboard:
                templates = [dartboard.submit("search", _SEARCH).id, dartboard.submit("evaluation", _EVALUATION).id]
            began = time.monotonic()
            url = stack.processes["api"].command.environment["DATABASE_URL"]
            # The first claims empty the queue this much.
            middles = fill(url, templates, queued=count + workers, ended=count)
            say(f"{count:,} queued and {count:,} ended jobs are there after {time.monotonic() - began:.1f} s")
            told = asyncio.run(_drive(stack, middles, workers, seconds, job_seconds))
            rows.append({"jobs": count, "workers": workers, **told})
            say(f"{told['ended']} jobs ended in {seconds:g} s; all workers had one after {told['rush_seconds']} s")
            if told["lost"]:
                say(f"{told['lost']} leases ran out: the API was too slow for {workers} workers here")
    return rows


def growth(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Each median with the most jobs, divided by that with the fewest."""
    first, last = rows[0]["times"], rows[-1]["times"]
    both = first.keys() & last.keys()
    return {name: round(last[name]["median_ms"] / first[name]["median_ms"], 2) for name in sorted(both)}


async def _drive(
    stack: LocalStack, middles: Middles, workers: int, seconds: float, job_seconds: float
) -> dict[str, Any]:
    api, postgres = stack.processes["api"], stack.processes["postgres"]
    key = api.command.environment["DARTBOARD_WORKER_KEY"]
    wanted, outcomes = asyncio.Semaphore(0), Counter[str]()

    def another(outcome: str) -> None:
        outcomes[outcome] += 1
        if outcome == "ended":
            wanted.release()

    async with AsyncExitStack() as open_clients:
        # One client per worker, as in production: a pool searches hundreds of connections on each request.
        clients = [await open_clients.enter_async_context(client_of(stack.url, key)) for _ in range(workers)]
        people = Timed(await open_clients.enter_async_context(client_of(stack.url)))
        timed = Timed(clients[0])
        fleet = [
            SimulatedWorker(Timed(client, beside=timed), number, _POOL, job_seconds, another)
            for number, client in enumerate(clients)
        ]
        tasks = [asyncio.create_task(part) for worker in fleet for part in (worker.work(), worker.show())]
        new = {**_SEARCH, "labels": {"fleet": "all"}}
        tasks += [asyncio.create_task(submit(people, new, wanted)) for _ in range(_SUBMITTERS)]
        try:
            began, before = time.monotonic(), (_cpu_seconds(api), _cpu_seconds(postgres))
            await _run(tasks, seconds)
            took, after = time.monotonic() - began, (_cpu_seconds(api), _cpu_seconds(postgres))
            finished, answered = outcomes["ended"], timed.count + people.count
            tasks.append(asyncio.create_task(browse_lists(people, middles)))
            await _run(tasks, seconds / 2)
            memory = psutil.Process(api.pid).memory_info().rss
            passes = await _passes(api)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return {
        # From the first request to the last answer; all are sent at once.
        "rush_seconds": round(max(timed.seconds["rush"]), 2),
        "ended": finished,
        "requests_a_second": round(answered / took, 1),
        "api_busy": round((after[0] - before[0]) / took, 3),
        "lost": outcomes["lost"],
        "times": {**timed.summary(), **people.summary(), **passes},
        "api_memory_mib": round(memory / 2**20, 1),
        "api_cpu_ms_a_job": _ms_each(after[0] - before[0], finished),
        "postgres_cpu_ms_a_job": _ms_each(after[1] - before[1], finished),
    }


async def _run(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Run these for a time. Raises the first exception; none ends by itself."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _passes(api: Process) -> dict[str, dict[str, float]]:
    """Time the queries of the sweeper and the waker, from a process beside the API."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.jobs.probes"),
        env=dict(api.command.environment),
        cwd=CODE,
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    taken: dict[str, list[float]] = json.loads(answer)
    return {
        f"{name}'s look": {
            "median_ms": round(median(ms), 2),
            "p99_ms": round(max(ms), 2),
            "count": len(ms),
        }
        for name, ms in taken.items()
    }


def _cpu_seconds(process: Process) -> float:
    """CPU seconds of the process and its living children."""
    found = psutil.Process(process.pid)
    family = [found, *found.children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in family)


def _ms_each(seconds: float, count: int) -> float | None:
    return round(1000 * seconds / count, 1) if count else None
