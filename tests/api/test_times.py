"""When a job runs: not before a time, and in a daily window only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from api.db.engine import Database
from api.jobs.times import TimeKeeper
from api.schemas.worker import Directive, Heartbeat, Release
from tests.support.databases import plain
from tests.support.service import Bench, Service

PAUSE = Directive(directive="pause", at_once=True)
Enforce = Callable[[], None]


@pytest.fixture
def enforce(service: Service) -> Enforce:
    """Runs three passes at once, each like one of an API process."""

    async def passes() -> None:
        database = Database(service.database_url)
        try:
            await asyncio.gather(*(TimeKeeper(database).enforce() for _ in range(3)))
        finally:
            await database.close()

    return lambda: asyncio.run(passes())


def around(begin: timedelta, end: timedelta) -> str:
    """A window by distances from now."""
    now = datetime.now(UTC)
    return f"{now + begin:%H:%M}-{now + end:%H:%M}"


HOUR = timedelta(hours=1)
OPEN, CLOSED = around(-HOUR, 2 * HOUR), around(2 * HOUR, 3 * HOUR)


def test_a_job_waits_for_its_time(bench: Bench, enforce: Enforce, service: Service) -> None:
    job = bench.submit(not_before=(datetime.now(UTC) + HOUR).isoformat())
    enforce()
    assert bench.nothing_to_claim()
    assert "its not_before; change them with PATCH" in (bench.dartboard.job(job.id).status_reason or "")
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute("update jobs set not_before = now() where id = %s", [job.id])
    enforce()
    assert bench.claim().claimed.job_id == job.id


def test_a_job_runs_in_its_window_only(bench: Bench, enforce: Enforce) -> None:
    closed, open_ = bench.submit(window=CLOSED), bench.submit(window=OPEN)
    enforce()
    assert bench.claim().claimed.job_id == open_.id
    assert bench.nothing_to_claim()
    assert f"it runs at {CLOSED} UTC, its window" in (bench.dartboard.job(closed.id).status_reason or "")


@pytest.mark.parametrize(
    ("window", "is_open"),
    [(around(-HOUR, -2 * HOUR), True), (around(HOUR, -HOUR), False)],
    ids=["begins earlier", "begins later"],
)
def test_a_window_may_lie_around_midnight(bench: Bench, enforce: Enforce, window: str, is_open: bool) -> None:
    bench.submit(window=window)
    enforce()
    assert bench.nothing_to_claim() is not is_open


def test_a_window_is_of_its_time_zone(bench: Bench, enforce: Enforce) -> None:
    bench.submit(window=OPEN, time_zone="Pacific/Kiritimati")
    job = bench.submit(window=around(13 * HOUR, 16 * HOUR), time_zone="Pacific/Kiritimati")  # 14 hours before UTC
    enforce()
    assert bench.claim().claimed.job_id == job.id
    assert bench.nothing_to_claim()


def test_at_the_end_of_its_window_a_job_saves_its_state_and_goes_on_in_the_next(bench: Bench, enforce: Enforce) -> None:
    job = bench.submit(window=OPEN)
    enforce()
    training = bench.claim()
    training.report(1)
    bench.dartboard.update(job.id, window=CLOSED)
    enforce()
    assert training.attempt.heartbeat(Heartbeat()) == PAUSE
    training.report_partial(1, 7)
    training.attempt.release(Release(n=training.number(), reason="pause"))
    assert bench.dartboard.job(job.id).status == "queued"
    assert bench.nothing_to_claim()
    bench.dartboard.update(job.id, window=OPEN)
    enforce()
    again = bench.claim()
    assert (again.claimed.job_id, again.resume.epoch, again.resume.step) == (job.id, 1, 7)


def test_without_times_a_held_job_starts(bench: Bench, enforce: Enforce) -> None:
    job = bench.submit(window=CLOSED)
    enforce()
    bench.dartboard.update(job.id, window=None)
    assert bench.claim().claimed.job_id == job.id


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"window": "22:00-22:00"}, "begins when it ends"),
        ({"window": "22-07"}, "pattern"),
        ({"window": "22:00-07:00", "time_zone": "Mars/Olympus"}, "'Mars/Olympus' is not known"),
        ({"not_before": "2026-12-24T20:00:00"}, "time zone"),
    ],
)
def test_bad_times_are_refused(http: httpx.Client, fields: dict[str, str], said: str) -> None:
    answer = http.post("/searches", json={"dataset": "digits", **fields})
    assert answer.status_code == 422
    assert said in answer.text.replace("timezone", "time zone")
