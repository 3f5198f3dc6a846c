"""Workers that come and go with a batch system: the script for Slurm, in which srun alone has a stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.documents import ROOT
from tests.support.small_search import until

pytestmark = pytest.mark.slow

_SCRIPT = ROOT / "deploy/slurm/worker.sbatch"


@pytest.fixture
def start(stack: LocalStack, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a worker of the pool `slurm` by the script, in a folder that stands for the checkout."""
    programs = {"srun": 'shift; exec "$@"', ".venv/bin/python": f'exec {sys.executable} "$@"'}
    for name, does in programs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    for name in ("DARTBOARD_WORKER_KEY", "REDIS_URL"):
        (secrets / name).write_text(stack.processes["worker-1"].command.environment[name])
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
        "SLURM_JOB_ID": "7",
        "DARTBOARD_SECRETS": str(secrets),
        "DARTBOARD_URL": stack.url,
        "DARTBOARD_POOLS": "slurm",
        "DARTBOARD_UNTIL_IDLE": "0.5",
        "CUDA_VISIBLE_DEVICES": "",
    }
    started = []

    def run() -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(subprocess.Popen(["bash", _SCRIPT], cwd=tmp_path, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield run
    for worker in started:
        worker.kill()
        worker.wait()


def test_a_worker_of_a_batch_system_gives_its_job_back_when_told_and_ends_when_idle(
    start: Callable[[], subprocess.Popen[bytes]], submit: Callable[..., JobOut], dartboard: Dartboard
) -> None:
    job = submit(pool="slurm", epochs=4, batch_size=32)
    told = start()
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
    assert dartboard.job(job.id).worker == "slurm-7"
    told.send_signal(signal.SIGTERM)  # as Slurm, a minute before the time is over
    assert told.wait(60) == 0
    assert dartboard.job(job.id).status == "queued"
    until_idle = start()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert until_idle.wait(120) == 0
