"""Workers die; searches do not."""

import re
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.small_search import SEARCH, until

pytestmark = pytest.mark.slow

# Some seconds an epoch: what is killed in one must be dead before its end.
LONGER = {"epochs": 4, "batch_size": 32}


@pytest.fixture(scope="module")
def undisturbed(stack: LocalStack) -> list[Any]:
    with Dartboard(stack.url) as dartboard:
        job = dartboard.wait(dartboard.submit("search", {**SEARCH, **LONGER}))
        assert (job.status, job.attempt) == ("succeeded", 1)
        return [e.alphas for e in dartboard.epochs(job.id)]


def _kill_in_epoch_2(dartboard: Dartboard, job: JobOut, kill: Callable[[], None]) -> JobOut:
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
    kill()
    return dartboard.wait(job)


def test_a_search_whose_working_process_is_killed_ends_with_the_same_alphas_bit_for_bit(
    dartboard: Dartboard,
    submit: Callable[..., JobOut],
    worker_child: Callable[[], psutil.Process],
    undisturbed: list[Any],
) -> None:
    ended = _kill_in_epoch_2(dartboard, submit(**LONGER), lambda: worker_child().kill())
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    stored = dartboard.epochs(ended.id)
    assert [(e.epoch, e.attempt) for e in stored] == [(1, 1), (2, 2), (3, 2), (4, 2)]
    assert [e.alphas for e in stored] == undisturbed


def test_a_search_killed_in_a_long_epoch_goes_on_in_its_middle_with_the_same_alphas_bit_for_bit(
    dartboard: Dartboard,
    submit: Callable[..., JobOut],
    worker_child: Callable[[], psutil.Process],
    undisturbed: list[Any],
) -> None:
    job = submit(**LONGER, checkpoint_seconds=0.1)
    until(dartboard.follow(job), lambda e: e.kind == "log" and "in the middle of epoch 2" in e.data["message"])
    worker_child().kill()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert [e.alphas for e in dartboard.epochs(ended.id)] == undisturbed
    messages = [line.message for line in dartboard.logs(ended.id)]
    assert any("from epoch 1 and" in message for message in messages)


def test_a_search_whose_whole_worker_is_killed_ends_with_the_same_alphas_bit_for_bit(
    stack: LocalStack, dartboard: Dartboard, submit: Callable[..., JobOut], undisturbed: list[Any]
) -> None:
    ended = _kill_in_epoch_2(dartboard, submit(**LONGER), stack.processes["worker-1"].kill)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert [e.alphas for e in dartboard.epochs(ended.id)] == undisturbed


def test_a_worker_that_is_told_to_stop_gives_its_job_back_without_a_lost_attempt(
    stack: LocalStack, dartboard: Dartboard, submit: Callable[..., JobOut], undisturbed: list[Any]
) -> None:
    ended = _kill_in_epoch_2(
        dartboard,
        submit(**LONGER, max_attempts=1),
        lambda: stack.processes["worker-1"].signal(signal.SIGTERM),
    )
    assert ended.status == "succeeded", ended.error
    assert [e.alphas for e in dartboard.epochs(ended.id)] == undisturbed
    reasons = [e.data["reason"] for e in dartboard.follow(ended) if e.kind == "status"]
    assert "released by its worker (shutdown)" in reasons


def test_a_worker_that_is_told_to_stop_is_gone_within_30_seconds_and_its_job_goes_on_from_the_step_it_stopped_at(
    stack: LocalStack, dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    worker = stack.processes["worker-1"]
    job = submit(epochs=1, batch_size=8)  # long enough to be met in its middle
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["step"] >= 1)
    worker.signal(signal.SIGTERM)
    assert worker.wait(30)
    assert dartboard.wait(job).status == "succeeded"
    messages = [line.message for line in dartboard.logs(job.id)]
    assert any(re.search(r"attempt 2 on .* from epoch 0 and [1-9]\d* steps", m) for m in messages), messages


def test_a_frozen_worker_loses_its_lease_and_changes_nothing_when_it_comes_back(
    dartboard: Dartboard,
    submit: Callable[..., JobOut],
    worker_child: Callable[[], psutil.Process],
    undisturbed: list[Any],
) -> None:
    job = submit(**LONGER)
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
    frozen = worker_child()
    frozen.suspend()
    try:
        until(
            dartboard.follow(job),
            lambda e: e.kind == "status" and "no heartbeat" in (e.data["reason"] or ""),
        )
    finally:
        frozen.resume()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert [e.alphas for e in dartboard.epochs(ended.id)] == undisturbed


def test_a_search_survives_the_api_and_the_broker_being_killed(
    stack: LocalStack, dartboard: Dartboard, submit: Callable[..., JobOut], undisturbed: list[Any]
) -> None:
    job = submit(**LONGER)
    events = dartboard.follow(job)
    until(events, lambda e: e.kind == "step")
    stack.processes["valkey"].kill()
    stack.processes["api"].kill()
    rest = list(events)
    ended = dartboard.job(job.id)
    assert (ended.status, ended.attempt) == ("succeeded", 1)
    assert [e.alphas for e in dartboard.epochs(job.id)] == undisturbed
    assert [e.data["epoch"] for e in rest if e.kind == "epoch"] == [1, 2, 3, 4]
    sequences = [e.sequence for e in rest if e.kind != "end"]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def test_a_search_survives_the_database_being_killed(
    stack: LocalStack, dartboard: Dartboard, submit: Callable[..., JobOut], undisturbed: list[Any]
) -> None:
    job = submit(**LONGER)
    events = dartboard.follow(job)
    until(events, lambda e: e.kind == "step")
    stack.processes["postgres"].kill()
    for _ in events:
        pass
    ended = dartboard.job(job.id)
    assert ended.status == "succeeded"
    assert [e.alphas for e in dartboard.epochs(job.id)] == undisturbed
