"""Studies whose service is killed on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from api.schemas.jobs import JobOut
from benchmarks.killed_study import numbers
from client.errors import ServiceUnreachableError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.simulated_worker import SimulatedWorker
from tests.support.small_search import SEARCH
from worker.api_client import WorkerApi

T = TypeVar("T")
TRAINING = {"epochs": 1, "channels": 4, "layers": 3, "batch_size": 128}
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "search": {**SEARCH, "epochs": 2},
    "short_retrain": {**TRAINING, "epochs": 2},
    "final": TRAINING,
    "final_runs": 2,
}


@pytest.fixture
def worker(stack: LocalStack, data: Path, dartboard: Dartboard, tmp_path: Path) -> Iterator[SimulatedWorker]:
    key = json.loads((data / "secrets.json").read_text())["worker_key"]
    with WorkerApi(stack.url, key) as api:
        worker = SimulatedWorker(dartboard, api, tmp_path, "pretended")
        yield worker
        worker.leave()


def once_there(ask: Callable[[], T]) -> T:
    """As a script does while the service starts again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except ServiceUnreachableError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _has_more_children(worker: SimulatedWorker, study: JobOut, than: int) -> bool:
    return len(worker.children(study)) > than


def test_an_api_that_is_killed_behind_every_child_loses_no_step_and_doubles_none(
    worker: SimulatedWorker, stack: LocalStack
) -> None:
    study = worker.study()
    for number in range(6):
        worker.work()
        if number % 2:  # at once, or with the driver at work
            worker.until(partial(_has_more_children, worker, study, number))
        stack.processes["api"].kill()
        once_there(lambda: worker.dartboard.job(study.id))
    assert worker.work_until_ended(study).status == "succeeded"
    assert len(worker.children(study)) == 6
    assert len(worker.done) == 6


def test_a_study_whose_api_worker_and_broker_are_killed_finds_the_same_numbers(
    dartboard: Dartboard, stack: LocalStack
) -> None:
    undisturbed = dartboard.wait(dartboard.submit("study", STUDY))
    study, kills = dartboard.submit("study", STUDY), ["api", "worker-1", "valkey"]
    began: set[str] = set()
    for event in dartboard.follow(study):
        if event.kind == "child" and event.data["status"] == "running" and event.data["stage"] not in began:
            began.add(event.data["stage"])
            # One in each of the three stages.
            if kills and event.data["stage"].split("/")[0] == ("search", "short-retrain", "final")[3 - len(kills)]:
                stack.processes[kills.pop(0)].kill()
    assert kills == []
    disturbed = once_there(lambda: dartboard.job(study.id))
    assert (undisturbed.status, disturbed.status) == ("succeeded", "succeeded")
    assert numbers(disturbed, dartboard) == numbers(undisturbed, dartboard)
    assert len(list(dartboard.jobs(parent=str(study.id)))) == 6
