"""The supervision of the API's background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from api import background_tasks
from api.app import create_app
from api.background_tasks import Background, Passed
from api.jobs.sweeper import Sweeper
from api.metrics.counters import REGISTRY
from api.settings import Settings
from tests.support.service import Service


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_tasks, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(background_tasks, "LONGEST_PAUSE_SECONDS", 0.01)


class Failing:
    """A task that ends in some way so many times, and works from then on."""

    def __init__(self, times: int, end: Callable[[], Awaitable[None]]) -> None:
        self._left, self._end = times, end
        self.works = asyncio.Event()

    async def run(self, passed: Passed) -> None:
        if self._left:
            self._left -= 1
            await self._end()
            return
        passed()
        self.works.set()
        await asyncio.Event().wait()


async def raises() -> None:
    raise OSError("no room")


async def is_cancelled() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def returns() -> None:
    """Ends as if there were nothing left to do."""


@pytest.mark.parametrize("end", [raises, is_cancelled, returns])
def test_a_task_that_ends_is_started_again_until_it_works(end: Callable[[], Awaitable[None]]) -> None:
    async def run() -> list[str]:
        task = Failing(5, end)
        tasks = Background({"worker bee": task.run})
        tasks.start()
        await asyncio.wait_for(task.works.wait(), 10)
        problems = list(tasks.problems())
        await tasks.stop()
        return problems

    before = REGISTRY.get_sample_value("dartboard_background_failures_total", {"task": "worker bee"}) or 0
    assert asyncio.run(run()) == []
    after = REGISTRY.get_sample_value("dartboard_background_failures_total", {"task": "worker bee"})
    assert after == before + 5
    assert REGISTRY.get_sample_value("dartboard_background_up", {"task": "worker bee"}) == 1


def test_a_task_that_keeps_failing_is_named_with_its_error() -> None:
    async def run() -> list[str]:
        third_is_over = asyncio.Event()
        calls = 0

        async def fail(_: Passed) -> None:
            nonlocal calls
            calls += 1
            if calls == 4:
                third_is_over.set()
                await asyncio.Event().wait()
            raise OSError("no room")

        tasks = Background({"worker bee": fail})
        tasks.start()
        await asyncio.wait_for(third_is_over.wait(), 10)
        problems = list(tasks.problems())
        await tasks.stop()
        return problems

    assert asyncio.run(run()) == ["worker bee has failed 3 times in a row (OSError)"]
    assert REGISTRY.get_sample_value("dartboard_background_up", {"task": "worker bee"}) == 0


def test_a_task_that_is_gone_is_named() -> None:
    async def run() -> list[str]:
        tasks = Background({"worker bee": Failing(0, raises).run})
        tasks.start()
        await tasks.stop()
        return list(tasks.problems())

    assert asyncio.run(run()) == ["worker bee does not run"]


def test_readyz_names_the_task_that_keeps_failing_until_it_works_again(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database_url=SecretStr(service.database_url),
        redis_url=SecretStr(service.broker_url),
        artifacts=tmp_path,
        worker_key=SecretStr(service.worker_key),
        sweep_seconds=0.01,
    )
    broken = asyncio.Event()
    sweep = Sweeper.sweep

    async def failing(sweeper: Sweeper) -> None:
        if broken.is_set():
            raise ZeroDivisionError
        await sweep(sweeper)

    monkeypatch.setattr(Sweeper, "sweep", failing)

    async def run() -> None:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
            asyncio.timeout(30),
        ):
            while (await http.get("/readyz")).status_code != 200:
                pass
            broken.set()
            while (answer := await http.get("/readyz")).status_code == 200:
                pass
            assert answer.status_code == 503
            assert answer.json()["background"].startswith("sweeper has failed ")
            assert "ZeroDivisionError" in answer.json()["background"]
            assert answer.json()["database"] == "ok"
            assert 'dartboard_background_up{task="sweeper"} 0.0' in (await http.get("/metrics")).text
            broken.clear()
            while (await http.get("/readyz")).status_code != 200:
                pass

    asyncio.run(run())
