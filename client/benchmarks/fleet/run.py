"""The run: for each number of jobs a service of its own, filled, with a fleet at work on it for a while."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import psutil

from client.benchmarks.fleet.filling import Middles, fill
from client.benchmarks.fleet.people import look, submit
from client.benchmarks.fleet.timing import Timed
from client.benchmarks.fleet.workers import SimulatedWorker
from client.local.process import Process
from client.local.stack import CODE, LocalStack
from client.sdk import Dartboard

_POOL: Final = "bench-fleet"
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
    """One row for each number of jobs: so many queued, and as many that have ended.

    All workers claim at the same moment once; then they work for `seconds` on jobs of `job_seconds` each, and for each
    job that ends a new one is submitted. Filling goes past the service, everything else over HTTP. data: kept
    afterwards, with a folder for each number of jobs.
    """
    rows = []
    for count in jobs:
        with ExitStack() as open_things:
            folder = Path(open_things.enter_context(TemporaryDirectory())) if data is None else data / str(count)
            stack = open_things.enter_context(LocalStack(folder, port=0, workers=0))
            with Dartboard(stack.url) as dartboard:
                templates = [dartboard.submit("search", _SEARCH).id, dartboard.submit("evaluation", _EVALUATION).id]
            began = time.monotonic()
            url = stack.processes["api"].command.environment["DATABASE_URL"]
            # The first claims take so many away at once.
            middles = fill(url, templates, queued=count + workers, ended=count)
            say(f"{count:,} queued and {count:,} ended jobs are there after {time.monotonic() - began:.1f} s")
            told = asyncio.run(_drive(stack, middles, workers, seconds, job_seconds))
            rows.append({"jobs": count, "workers": workers, **told})
            say(f"{told['ended']} jobs ended in {seconds:g} s; all workers had one after {told['rush_seconds']} s")
    return rows


def growth(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of each median: with the most jobs, as a multiple of that with the fewest."""
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

    async with _client(stack.url, key) as worker_http, _client(stack.url) as http:
        timed, people = Timed(worker_http), Timed(http)
        fleet = [SimulatedWorker(timed, number, _POOL, job_seconds, another) for number in range(workers)]
        tasks = [asyncio.create_task(part) for worker in fleet for part in (worker.work(), worker.show())]
        tasks += [
            asyncio.create_task(look(people, middles)),
            asyncio.create_task(submit(people, {**_SEARCH, "labels": {"fleet": "all"}}, wanted)),
        ]
        before = _cpu_seconds(api), _cpu_seconds(postgres)
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        after, finished = (_cpu_seconds(api), _cpu_seconds(postgres)), outcomes["ended"]
        memory = psutil.Process(api.pid).memory_info().rss
        passes = await _passes(api)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
    return {
        # From the first question to the last answer: they all ask at once.
        "rush_seconds": round(max(timed.seconds["rush"]), 2),
        "ended": finished,
        "lost": outcomes["lost"],
        "times": {**timed.summary(), **people.summary(), **passes},
        "api_memory_mib": round(memory / 2**20, 1),
        "api_cpu_ms_a_job": _ms_each(after[0] - before[0], finished),
        "postgres_cpu_ms_a_job": _ms_each(after[1] - before[1], finished),
    }


def _client(url: str, key: str | None = None) -> httpx.AsyncClient:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    # A connection is given up before the service would close it.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)
    return httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60, trust_env=False)


async def _passes(api: Process) -> dict[str, dict[str, float]]:
    """What the sweeper and the waker look at all the time, asked in a process beside the API."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.jobs.passes"),
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
    """Of the process and its living children."""
    found = psutil.Process(process.pid)
    family = [found, *found.children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in family)


def _ms_each(seconds: float, count: int) -> float | None:
    return round(1000 * seconds / count, 1) if count else None
