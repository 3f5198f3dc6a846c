"""Which queued job of equal priority a worker gets: that of the owner, then of the project, that has had least."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from api.schemas.jobs import JobOut
from api.schemas.keys import Role
from api.schemas.worker import Claim, Heartbeat
from client.sdk import Dartboard
from tests.support.databases import plain
from tests.support.service import Bench, Service, SimulatedAttempt

Submit = Callable[..., JobOut]


@pytest.fixture
def submit(bench: Bench, service: Service) -> Iterator[Submit]:
    """Queues a job of an owner, by a key of theirs; no other test has such owners."""
    with ExitStack() as stack:
        people: dict[str, Dartboard] = {}

        def submit(owner: str, **fields: Any) -> JobOut:
            if owner not in people:
                key = bench.dartboard.create_key(Role.USER, f"{owner}.{bench.pool}").key
                people[owner] = stack.enter_context(Dartboard(service.url, key))
            body = {"dataset": "digits", "epochs": 3, "pool": bench.pool, **fields}
            return people[owner].submit("search", body)

        yield submit


def run(bench: Bench, seconds: float) -> SimulatedAttempt:
    """Claim the next job and work on it for so long."""
    training = bench.claim(worker=f"worker {uuid4()}")
    training.attempt.heartbeat(Heartbeat(seconds=seconds))
    return training


def had(bench: Bench, submit: Submit, owner: str, seconds: float, **fields: Any) -> None:
    """Let an owner have had so many GPU-seconds, by a job that has ended."""
    job = submit(owner, **fields)
    run(bench, seconds)
    bench.dartboard.cancel(job.id)


def order(bench: Bench, jobs: list[JobOut]) -> list[int]:
    """The places in this list of the jobs that are claimed one after another, as the queue foresees them."""
    foreseen = [job.id for job in bench.dartboard.queue(pool=bench.pool).queued]
    claimed = [bench.claim(worker=f"worker {uuid4()}").claimed.job_id for _ in jobs]
    assert claimed == foreseen
    return [[job.id for job in jobs].index(job_id) for job_id in claimed]


def test_the_owner_who_has_had_least_comes_first(bench: Bench, submit: Submit) -> None:
    had(bench, submit, "ada", 1000)
    had(bench, submit, "bob", 900)
    assert order(bench, [submit("ada"), submit("bob"), submit("cleo")]) == [2, 1, 0]


def test_running_jobs_count(bench: Bench, submit: Submit) -> None:
    had(bench, submit, "ada", 1000)
    submit("bob")
    run(bench, 2000)
    assert order(bench, [submit("bob"), submit("ada")]) == [1, 0]


def test_slots_that_come_free_together_go_to_several_owners(bench: Bench, submit: Submit) -> None:
    jobs = [*(submit("ada") for _ in range(3)), *(submit("bob") for _ in range(2))]
    assert order(bench, jobs) == [0, 3, 1, 4, 2]


def test_within_an_owner_the_project_that_has_had_least_comes_first(bench: Bench, submit: Submit) -> None:
    had(bench, submit, "ada", 1000, project="old")
    assert order(bench, [submit("ada", project="old"), submit("ada"), submit("ada", project="new")]) == [1, 2, 0]


def test_a_project_does_not_help_an_owner(bench: Bench, submit: Submit) -> None:
    had(bench, submit, "ada", 1000, project="old")
    assert order(bench, [submit("ada", project="new"), submit("bob")]) == [1, 0]


def test_priorities_come_first(bench: Bench, submit: Submit) -> None:
    had(bench, submit, "ada", 1000)
    assert order(bench, [submit("bob"), submit("ada", priority=8)]) == [1, 0]


def test_jobs_on_two_gpus_count_twice(bench: Bench, submit: Submit) -> None:
    submit("ada", gpus=2)
    claimed = bench.api.claim(Claim(worker=f"worker {uuid4()}", pools=[bench.pool], gpus=2, threads=2))
    assert claimed is not None
    bench.api.attempt(str(claimed.attempt_id), claimed.token).heartbeat(Heartbeat(seconds=600))
    had(bench, submit, "bob", 1000)
    assert order(bench, [submit("ada"), submit("bob")]) == [1, 0]


def test_seconds_count_half_after_a_half_life(bench: Bench, submit: Submit, service: Service) -> None:
    had(bench, submit, "ada", 1000)
    had(bench, submit, "bob", 400)
    later = "update shares set counted_at = counted_at - %s::interval where owner = 'ada.' || %s"
    jobs = [submit("ada"), submit("bob")]
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(later, ["24 hours", bench.pool])
    assert order(bench, jobs) == [1, 0]
    jobs = [submit("bob"), submit("ada")]
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(later, ["24 hours", bench.pool])
    assert order(bench, jobs) == [1, 0]


def test_shares_tell_what_each_owner_has_had_and_what_is_held(bench: Bench, submit: Submit) -> None:
    had(bench, submit, "ada", 3000)
    had(bench, submit, "bob", 1000)
    submit("cleo", not_before=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    found = bench.dartboard.shares()
    assert found.half_life_hours == 24
    assert sum(each.share for each in found.items) == pytest.approx(1)
    of = {(each.owner or "").removesuffix(f".{bench.pool}"): each for each in found.items}
    assert of["ada"].gpu_hours == pytest.approx(3000 / 3600, rel=0.05)
    assert of["ada"].share / of["bob"].share == pytest.approx(3, rel=0.05)
    assert [of[name].held for name in ("ada", "bob", "cleo")] == [0, 0, 1]
    assert (of["cleo"].gpu_hours, of["cleo"].share) == (0, 0)
    assert found.items == sorted(found.items, key=lambda each: -each.gpu_hours)
