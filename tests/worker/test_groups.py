"""The processes of a machine with several groups of GPUs, with a small program in the workers' place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

GROUPS = """
import os, sys
from darts_core.runtime.gpu_groups import groups_of
from worker.groups import Groups
from worker.logs import configure
from worker.settings import WorkerSettings
configure()
Groups(WorkerSettings(gpus=1), groups_of(os.environ), [sys.executable, "-c", sys.argv[1]]).run()
"""
# Says who it is, and when it has been asked to stop.
WORKER = """
import json, os, signal
def say(**what): os.write(1, (json.dumps(what) + "\\n").encode())
me = os.environ["DARTBOARD_WORKER_NAME"]
def stop(*_): say(stopped=me); os._exit(0)
signal.signal(signal.SIGTERM, stop)
wanted = ("CUDA_VISIBLE_DEVICES", "DARTBOARD_GPUS", "DARTBOARD_WORKER_STATE", "OMP_NUM_THREADS")
say(name=me, pid=os.getpid(), **{name: os.environ.get(name) for name in wanted})
while True: signal.pause()
"""
STUBBORN = WORKER.replace("; os._exit(0)", "")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the groups of four GPUs: a pair and two single ones."""
    running: list[subprocess.Popen[str]] = []

    def start(worker: str = WORKER) -> subprocess.Popen[str]:
        told = {
            "DARTBOARD_WORKER_KEY": "k" * 16,
            "DARTBOARD_WORKER_NAME": "host",
            "DARTBOARD_WORKER_STATE": str(tmp_path),
            "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b,GPU-c,MIG-d",
            "DARTBOARD_GPUS": "2,1,1",
            "OMP_NUM_THREADS": "",
        }
        command = [sys.executable, "-c", GROUPS, worker]
        running.append(subprocess.Popen(command, env=os.environ | told, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    """The next lines, in no order of their own."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_each_group_has_a_worker_with_its_own_gpus_name_and_folder(start: Start, tmp_path: Path) -> None:
    workers = {worker.pop("name"): worker for worker in said(start(), 3)}
    assert {name: (w["CUDA_VISIBLE_DEVICES"], w["DARTBOARD_GPUS"]) for name, w in workers.items()} == {
        "host-1": ("GPU-a,GPU-b", "2"),
        "host-2": ("GPU-c", "1"),
        "host-3": ("MIG-d", "1"),
    }
    assert {w["DARTBOARD_WORKER_STATE"] for w in workers.values()} == {str(tmp_path / n) for n in "123"}
    assert {w["OMP_NUM_THREADS"] for w in workers.values()} == {str(max(1, len(os.sched_getaffinity(0)) // 3))}


def test_a_worker_that_dies_is_started_again_on_the_same_gpus(start: Start) -> None:
    process = start()
    [pair] = [worker for worker in said(process, 3) if worker["name"] == "host-1"]
    os.kill(pair["pid"], signal.SIGKILL)
    [again] = said(process, 1)
    assert (again["name"], again["CUDA_VISIBLE_DEVICES"]) == ("host-1", "GPU-a,GPU-b")
    assert again["pid"] != pair["pid"]


def test_a_stop_is_passed_on_to_all_and_waited_for(start: Start) -> None:
    process = start()
    said(process, 3)
    process.terminate()
    assert {worker["stopped"] for worker in said(process, 3)} == {"host-1", "host-2", "host-3"}
    assert process.wait(20) == 0


def test_a_second_stop_ends_workers_that_take_their_time(start: Start) -> None:
    process = start(STUBBORN)
    workers = [psutil.Process(worker["pid"]) for worker in said(process, 3)]
    process.terminate()
    said(process, 3)  # each has heard of the first one
    process.terminate()
    assert process.wait(20) == 0  # they may take 30 s
    assert not any(worker.is_running() for worker in workers)


def test_more_gpus_than_there_are_are_refused_with_the_way_out(tmp_path: Path) -> None:
    told = {"CUDA_VISIBLE_DEVICES": "0,1,2", "DARTBOARD_GPUS": "2,2", "DARTBOARD_WORKER_KEY": "k" * 16}
    command = [sys.executable, "-m", "worker"]
    ended = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip() == (
        "DARTBOARD_GPUS=2,2 wants 4 GPUs, and this machine has 3: 0, 1, 2; DARTBOARD_GPUS=2,1 would fit, or leave it "
        "out for one worker on each"
    )
