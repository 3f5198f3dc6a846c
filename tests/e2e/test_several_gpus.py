"""A worker of two GPUs, on a CPU: its jobs run on two processes."""

from collections.abc import Iterator

import psutil
import pytest

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.small_search import QUICK_SIGNS, SEARCH, until

JOB = {**SEARCH, "nodes": 1, "primitives": ["none", "skip_connect", "max_pool_3x3"], "epochs": 3, "gpus": 2}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    environment = {"CUDA_VISIBLE_DEVICES": "", "DARTBOARD_GPUS": "2", **QUICK_SIGNS}
    folder = tmp_path_factory.mktemp("pair")
    with LocalStack(folder, port=0, workers=1, environment=environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def undisturbed(pair: LocalStack) -> JobOut:
    with Dartboard(pair.url) as dartboard:
        return dartboard.wait(dartboard.submit("search", JOB))


def _ranks(stack: LocalStack) -> list[psutil.Process]:
    pid = stack.processes["worker-1"].pid
    assert pid is not None
    below = psutil.Process(pid).children(recursive=True)
    return [process for process in below if "darts_core.distributed.rank" in process.cmdline()]


def test_a_search_on_two_processes_succeeds_and_leaves_none_behind(pair: LocalStack, undisturbed: JobOut) -> None:
    assert (undisturbed.status, undisturbed.attempt) == ("succeeded", 1), undisturbed.error
    assert psutil.wait_procs(_ranks(pair), timeout=10)[1] == []


def test_a_search_of_which_one_process_is_killed_ends_with_the_same_alphas_bit_for_bit(
    pair: LocalStack, undisturbed: JobOut
) -> None:
    with Dartboard(pair.url) as dartboard:
        job = dartboard.submit("search", JOB)
        until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
        _ranks(pair)[1].kill()
        ended = dartboard.wait(job)
        assert (ended.status, ended.attempt) == ("succeeded", 2), ended.error
        alphas = [[e.alphas for e in dartboard.epochs(j.id)] for j in (undisturbed, ended)]
    assert alphas[0] == alphas[1]
