"""Measures how long an urgent job waits for its claim while all simulated workers are busy."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

from api.schemas.jobs import URGENT, JobOut
from api.schemas.worker import Claimed
from benchmarks.fleet.timing import Timed, client_of
from benchmarks.fleet.workers import SimulatedWorker
from benchmarks.watchers import at
from client.local.stack import LocalStack

_POOL: Final = "bench-preemption"
_ENDLESS: Final = 86_400.0
_URGENT_SECONDS: Final = 0.2
_SEARCH: Final[dict[str, Any]] = {"dataset": "digits", "epochs": 1, "pool": _POOL}
# The same few jobs make room again and again.
_ENVIRONMENT: Final = {"DARTBOARD_PREEMPT_AGAIN_SECONDS": "0"}

_POLL: Final = 0.01


@dataclass
class _Board:
    """What the workers do. claimed: the times of first claims by job. normal: the number of workers with a job that is
    not urgent. lost: the number of lost attempts.
    """

    claimed: dict[UUID, asyncio.Future[float]] = field(
        default_factory=lambda: defaultdict(asyncio.get_running_loop().create_future)
    )
    normal: int = 0
    lost: int = 0


def measure_urgent(
    *, workers: int, jobs: int, step_seconds: float, say: Callable[[str], None]
) -> list[dict[str, float]]:
    """Seconds from urgent jobs' submission to their claims: of one at a time, then of as many at once as workers.

    jobs: number of urgent jobs in each row, at least. step_seconds: the time in which a preempted job saves its state.
    """
    with TemporaryDirectory() as folder, LocalStack(Path(folder), port=0, workers=0, environment=_ENVIRONMENT) as stack:
        return asyncio.run(_drive(stack, workers, jobs, step_seconds, say))


class _Worker(SimulatedWorker):
    """Runs urgent jobs for a moment and others without end."""

    def __init__(self, timed: Timed, number: int, step_seconds: float, board: _Board) -> None:
        super().__init__(timed, number, _POOL, _ENDLESS, self._ended)
        self.step_seconds, self._board = step_seconds, board

    def duration(self, claimed: Claimed) -> float:
        """Called after the claim."""
        first = self._board.claimed[claimed.job_id]
        if not first.done():
            first.set_result(asyncio.get_running_loop().time())
        if claimed.name == "urgent":
            return _URGENT_SECONDS
        self._board.normal += 1
        return _ENDLESS

    def _ended(self, outcome: str) -> None:
        self._board.normal -= outcome == "preempted"
        self._board.lost += outcome == "lost"


async def _drive(
    stack: LocalStack, workers: int, jobs: int, step_seconds: float, say: Callable[[str], None]
) -> list[dict[str, float]]:
    key = stack.processes["api"].command.environment["DARTBOARD_WORKER_KEY"]
    board = _Board()
    async with AsyncExitStack() as open_clients:
        timed = [Timed(await open_clients.enter_async_context(client_of(stack.url, key))) for _ in range(workers)]
        people = Timed(await open_clients.enter_async_context(client_of(stack.url)))
        for _ in range(2 * workers):  # so that others wait behind the urgent job
            await _submit(people)
        fleet = [_Worker(each, number, step_seconds, board) for number, each in enumerate(timed)]
        tasks = [asyncio.create_task(part) for worker in fleet for part in (worker.work(), worker.show())]
        try:
            rows = []
            for at_once in sorted({1, workers}):
                waits: list[float] = []
                while len(waits) < jobs:
                    while board.normal < workers:
                        _raise_of(tasks)
                        await asyncio.sleep(_POLL)
                    waits += await asyncio.gather(*(_wait(people, board, tasks) for _ in range(at_once)))
                rows.append({"at_once": at_once, **_summary(waits)})
                say(f"{at_once} at once: p99 {rows[-1]['p99_seconds']:.2f} s")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if board.lost:
        raise RuntimeError(f"{board.lost} leases ran out: the API was too slow for {workers} workers here")
    return rows


async def _submit(people: Timed, **fields: Any) -> UUID:
    answer = await people.send("submit", "POST", "/searches", json={**_SEARCH, **fields})
    return JobOut.model_validate_json(answer.content).id


async def _wait(people: Timed, board: _Board, tasks: list[asyncio.Task[None]]) -> float:
    """Submit an urgent job; the seconds to its claim."""
    began = asyncio.get_running_loop().time()
    claimed = board.claimed[await _submit(people, name="urgent", priority=URGENT)]
    while not claimed.done():
        _raise_of(tasks)
        await asyncio.wait([claimed], timeout=1)
    return claimed.result() - began


def _raise_of(tasks: list[asyncio.Task[None]]) -> None:
    """Raise the exception of a worker; none ends by itself."""
    for task in tasks:
        if task.done():
            task.result()


def _summary(waits: list[float]) -> dict[str, float]:
    waits = sorted(waits)
    return {
        "jobs": len(waits),
        "median_seconds": round(median(waits), 3),
        "p99_seconds": round(at(waits, 99), 3),
        "max_seconds": round(waits[-1], 3),
    }
