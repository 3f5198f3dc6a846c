"""Supervises the API's background tasks: restarts one that fails, counts its failures, and reports them to /readyz."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

import structlog

from api.http.problems import is_unreachable
from api.metrics.counters import BACKGROUND_FAILURES, BACKGROUND_UP
from darts_core.runtime.backoff import Backoff

Passed = Callable[[], None]
"""Called by a task after each successful pass."""
Run = Callable[[Passed], Awaitable[None]]
"""Works until cancelled; raises on a failure."""

FIRST_PAUSE_SECONDS: Final = 0.5
# Short, since most failures are an unreachable database, and the tasks must resume soon after its return.
LONGEST_PAUSE_SECONDS: Final = 2.0
_FAILURES_TO_TELL: Final = 3
_log = structlog.get_logger(__name__)


class Background:
    """The background tasks of one API process, by name. Create and start it in the tasks' event loop."""

    def __init__(self, tasks: Mapping[str, Run]) -> None:
        self._tasks = [_Supervised(name, run) for name, run in tasks.items()]

    def start(self) -> None:
        for task in self._tasks:
            task.start()

    async def stop(self) -> None:
        """Cancel all tasks and wait until they end."""
        await asyncio.gather(*(task.stop() for task in self._tasks))

    def problems(self) -> Iterator[str]:
        """A phrase for each task that has failed several times in a row or has ended."""
        for task in self._tasks:
            if problem := task.problem():
                yield problem


class _Supervised:
    def __init__(self, name: str, run: Run) -> None:
        self._name, self._run = name, run
        self._failures, self._last_error = 0, ""
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        # exported from the start: without a first value, the first failure has no rate
        BACKGROUND_FAILURES.labels(self._name)
        self._passed()
        self._task = asyncio.create_task(self._supervise(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def problem(self) -> str | None:
        if self._task is None or self._task.done():
            return f"{self._name} does not run"
        if self._failures < _FAILURES_TO_TELL:
            return None
        return f"{self._name} has failed {self._failures} times in a row ({self._last_error})"

    async def _supervise(self) -> None:
        while True:
            try:
                await self._run(self._passed)
                error: BaseException = RuntimeError("it returned")
            except asyncio.CancelledError as cancelled:
                if (this := asyncio.current_task()) is not None and this.cancelling():
                    raise
                error = cancelled  # raised by an awaited task, not a cancellation of this one
            except Exception as failure:
                error = failure
            self._failed(error)
            await asyncio.sleep(self._backoff.pause())

    def _passed(self) -> None:
        self._failures = 0
        self._backoff.reset()
        BACKGROUND_UP.labels(self._name).set(1)

    def _failed(self, error: BaseException) -> None:
        self._failures, self._last_error = self._failures + 1, type(error).__name__
        BACKGROUND_FAILURES.labels(self._name).inc()
        if self._failures >= _FAILURES_TO_TELL:
            BACKGROUND_UP.labels(self._name).set(0)
        _log.warning(
            "background_task_failed",
            task=self._name,
            failures=self._failures,
            error=f"{type(error).__name__}: {error}"[:300],
            exc_info=None if isinstance(error, Exception) and is_unreachable(error) else error,
        )
