"""The queue of a pool: who is next, and who has the workers. The order itself is in test_fair_share.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.schemas.jobs import Progress
from api.schemas.worker import Heartbeat
from tests.support.service import Bench


def test_waiting_and_running_jobs_are_told_with_what_is_known_of_them(bench: Bench) -> None:
    running = bench.submit(name="first", project="moons")
    attempt = bench.claim()
    attempt.attempt.heartbeat(Heartbeat(progress=Progress(epoch=2, epochs=3, step=1, steps=2, eta_seconds=9)))
    held = bench.submit(not_before=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    urgent, late = bench.submit(priority=8, name="soon"), bench.submit()
    queue = bench.dartboard.queue(pool=bench.pool)
    assert [job.id for job in queue.queued] == [urgent.id, late.id]
    assert held.id not in {job.id for job in queue.queued}
    first = queue.queued[0]
    assert (first.kind, first.name, first.owner, first.project, first.priority) == ("search", "soon", None, None, 8)
    [now] = queue.running
    assert (now.id, now.name, now.project) == (running.id, "first", "moons")
    assert now.progress is not None
    assert now.progress.epoch == 2


def test_a_queue_is_of_one_pool_and_number_of_gpus(bench: Bench) -> None:
    one, two = bench.submit(), bench.submit(gpus=2)
    assert [job.id for job in bench.dartboard.queue(pool=bench.pool).queued] == [one.id]
    assert [job.id for job in bench.dartboard.queue(pool=bench.pool, gpus=2).queued] == [two.id]
    assert bench.dartboard.queue(pool="empty").queued == []


def test_as_many_as_asked_for_are_told(bench: Bench) -> None:
    jobs = [bench.submit(priority=priority) for priority in (3, 5, 4, 5)]
    queue = bench.dartboard.queue(pool=bench.pool, limit=3)
    assert [job.id for job in queue.queued] == [jobs[1].id, jobs[3].id, jobs[2].id]


@pytest.mark.parametrize("params", [{"pool": "No Pool"}, {"gpus": 0}, {"limit": 0}, {"limit": 201}])
def test_a_queue_that_cannot_be_is_refused(http: httpx.Client, params: dict[str, str | int]) -> None:
    answer = http.get("/queue", params=params)
    assert answer.status_code == 422
    assert next(iter(params)) in answer.text
