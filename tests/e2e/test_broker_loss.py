"""The broker is away or loses everything: queued jobs still run, and none runs twice."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.local.valkey import Valkey
from client.sdk import Dartboard
from tests.support.small_search import SEARCH, until
from tests.support.unsupervised import unsupervised

pytestmark = pytest.mark.slow


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    """A broker that only the test starts again."""
    with unsupervised(Valkey, tmp_path) as valkey:
        yield valkey


def _empty(url: str) -> None:
    with Redis.from_url(url) as redis:
        for key in redis.scan_iter():  # what it may not do is FLUSHALL
            redis.delete(key)


def _assert_each_ran_once(dartboard: Dartboard, jobs: list[JobOut]) -> None:
    ended = [dartboard.wait(job) for job in jobs]
    assert [(job.status, job.attempt) for job in ended] == [("succeeded", 1)] * len(jobs)
    for job in jobs:
        told = [e.data["epoch"] for e in dartboard.follow(job) if e.kind == "epoch"]
        assert told == [e.epoch for e in dartboard.epochs(job.id)] == [1, 2]


def test_jobs_run_once_while_and_after_the_broker_is_emptied(
    stack: LocalStack, dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    url = stack.processes["api"].command.environment["REDIS_URL"]
    jobs = []
    for _ in range(3):
        _empty(url)
        jobs.append(submit(epochs=2))
    until(dartboard.follow(jobs[0]), lambda e: e.kind == "step")
    _empty(url)
    _assert_each_ran_once(dartboard, jobs)
    # Also what is queued for a worker that has long been idle.
    _empty(url)
    _assert_each_ran_once(dartboard, [submit(epochs=2)])


def test_jobs_run_once_when_the_broker_was_away_for_longer_than_a_job_takes(
    broker: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("stack")
    with (
        LocalStack(data, port=0, workers=1, environment={"REDIS_URL": broker.url}) as stack,
        Dartboard(stack.url) as dartboard,
    ):
        running = dartboard.submit("search", {**SEARCH, "epochs": 2})
        until(dartboard.follow(running), lambda e: e.kind == "status" and e.data["status"] == "running")
        broker.process.kill()
        broker.process.wait()
        # It goes on without a broker; its worker is idle afterwards.
        assert dartboard.wait(running).status == "succeeded"
        waiting = [dartboard.submit("search", {**SEARCH, "epochs": 2}) for _ in range(2)]
        while "REDIS_URL" not in (dartboard.job(waiting[0].id).status_reason or ""):
            threading.Event().wait(0.2)  # what a job waits for has no event
        broker.start()
        _assert_each_ran_once(dartboard, [running, *waiting])
