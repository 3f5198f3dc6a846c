"""The database's clock is set forward and back while jobs run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.db import clock_steps
from api.db.clock_steps import DatabaseClock
from api.db.engine import Database
from api.schemas.jobs import JobOut
from api.schemas.worker import Claim
from client.local.data_directory import DataDirectory
from client.local.postgres import Postgres
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.runtime.process import Spawner
from tests.support.heartbeats import heartbeats
from tests.support.service import Service
from worker.api_client import AttemptApi, WorkerApi

pytestmark = pytest.mark.stack

_LEASE_SECONDS = 2.0
_HOUR = 3600.0


class SteppedService:
    """A service on a Postgres whose clock can be set."""

    def __init__(self, url: str, worker_key: str, clock: Path) -> None:
        self.url, self._clock = url, clock
        self.dartboard, self.api = Dartboard(url), WorkerApi(url, worker_key)

    def set_clock(self, seconds: float) -> None:
        """So far from the true time."""
        aside = self._clock.with_suffix(".new")
        aside.write_text(f"{seconds:+.0f}s\n")
        aside.replace(self._clock)

    def claim(self, **fields: Any) -> tuple[JobOut, AttemptApi]:
        job = self.dartboard.submit("search", {"dataset": "digits", "epochs": 1, **fields})
        claimed = self.api.claim(Claim(worker="worker-a", pools=["default"], threads=1))
        assert claimed is not None
        return job, self.api.attempt(str(claimed.attempt_id), claimed.token)

    def wait_until_lost(self, job: JobOut) -> None:
        news = self.dartboard.follow(job)
        assert any(e.kind == "status" and e.data["status"] == "queued" and e.sequence > 1 for e in news)


@pytest.fixture(scope="module")
def library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed")
    return found[0]


@pytest.fixture(scope="module")
def stepped(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SteppedService]:
    folder = tmp_path_factory.mktemp("stepped")
    clock = folder / "clock"
    clock.write_text("+0s\n")
    data, spawner = DataDirectory(folder / "database"), Spawner()
    postgres = Postgres(data, spawner)
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = postgres.process.command
    postgres.process.command = replace(command, environment={**command.environment, **faked})
    try:
        postgres.start()
        environment = {
            "DATABASE_URL": postgres.url,
            "DARTBOARD_LEASE_SECONDS": str(_LEASE_SECONDS),
            "DARTBOARD_SWEEP_SECONDS": "0.1",
        }
        with LocalStack(folder / "data", port=0, workers=0, environment=environment) as stack:
            key = stack.processes["api"].command.environment["DARTBOARD_WORKER_KEY"]
            yield SteppedService(stack.url, key, clock)
    finally:
        postgres.stop()
        spawner.close()
        data.release()


@pytest.fixture
def service_at_true_time(stepped: SteppedService) -> Iterator[SteppedService]:
    yield stepped
    stepped.set_clock(0)


@pytest.mark.parametrize("step", [_HOUR, -_HOUR])
def test_a_step_ends_no_living_lease_and_fails_no_max_runtime(
    service_at_true_time: SteppedService, step: float
) -> None:
    service = service_at_true_time
    job, attempt = service.claim(max_runtime=600)
    with heartbeats(attempt) as taken:
        assert taken.acquire(timeout=10)
        service.set_clock(step)
        until = time.monotonic() + 3 * _LEASE_SECONDS
        while time.monotonic() < until:
            assert taken.acquire(timeout=10)
        now = service.dartboard.job(job.id)
        assert (now.status, now.attempt) == ("running", 1)
    service.dartboard.cancel(job.id)


@pytest.mark.parametrize("step", [_HOUR, -_HOUR])
def test_seconds_of_computing_are_those_that_passed(service_at_true_time: SteppedService, step: float) -> None:
    service = service_at_true_time
    began = time.monotonic()
    job, attempt = service.claim()
    with heartbeats(attempt) as taken:
        assert taken.acquire(timeout=10)
        service.set_clock(step)
        for _ in range(5):
            assert taken.acquire(timeout=10)
        service.dartboard.cancel(job.id)
        took = time.monotonic() - began
    other, _ = service.claim()
    service.dartboard.cancel(other.id)
    seconds = service.dartboard.compare([job.id, other.id]).jobs[0].compute_seconds
    assert 0.4 < seconds <= took
    [kept] = httpx.get(f"{service.url}/searches/{job.id}/attempts").json()["items"]
    assert datetime.fromisoformat(kept["ended_at"]) >= datetime.fromisoformat(kept["started_at"])


def test_a_worker_that_fell_silent_is_noticed_soon_after_the_clock_was_set_back(
    service_at_true_time: SteppedService,
) -> None:
    service = service_at_true_time
    job, attempt = service.claim()
    with heartbeats(attempt) as taken:
        assert taken.acquire(timeout=10)
    service.set_clock(-_HOUR)
    began = time.monotonic()
    service.wait_until_lost(job)
    assert time.monotonic() - began < 30
    service.dartboard.cancel(job.id)


def test_the_clock_s_step_is_found_whichever_way(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[], float] = clock_steps.clock
    own = [0.0]
    monkeypatch.setattr(clock_steps, "clock", lambda: real() + own[0])

    async def steps() -> list[float]:
        database = Database(service.database_url)
        clock = DatabaseClock(database)
        found = [await clock.step(), await clock.step()]
        own[0] -= 100  # the database's goes forward beside it
        found += [await clock.step(), await clock.step()]
        own[0] += 100
        found += [await clock.step(), await clock.step()]
        await database.close()
        return found

    assert asyncio.run(steps()) == pytest.approx([0, 0, 100, 0, -100, 0], abs=1.0)
