"""Random sequences of all that can happen to searches: each ends once, with the bits of an undisturbed training."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import psutil
import pytest
import torch

from api.schemas.jobs import AttemptOut, AttemptStatus, JobOut
from client.errors import ProblemError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.files.checkpoints import Checkpoint
from tests.support.same_bits import assert_same_bits
from tests.support.small_search import QUICK_SIGNS, SEARCH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# DARTBOARD_SEQUENCES=300 pytest tests/e2e/test_sequences.py, an hour
SEQUENCES: Final = int(os.environ.get("DARTBOARD_SEQUENCES", "30"))
_STEPS: Final = 6
# Every job ends well, however often its worker is killed.
_SPEC: Final = {**SEARCH, "channels": 2, "threads": 1, "max_attempts": 100}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    environment = {
        "DARTBOARD_PREEMPT_REMAINING_SECONDS": "0",
        "DARTBOARD_PREEMPT_AGAIN_SECONDS": "0",
        "DARTBOARD_LEASE_SECONDS": "5",
        **QUICK_SIGNS,
    }
    with LocalStack(tmp_path_factory.mktemp("sequences"), port=0, workers=1, environment=environment) as stack:
        yield stack


class Sequence:
    """Jobs, and what is done to them next."""

    def __init__(self, stack: LocalStack, dartboard: Dartboard, seed: int) -> None:
        self._stack, self._dartboard = stack, dartboard
        self._draw = random.Random(seed)
        self.jobs: list[UUID] = []
        self.extended: Counter[UUID] = Counter()
        """How often a job was given more epochs after it had succeeded."""
        self.done: Counter[str] = Counter()
        self._seen: Counter[UUID] = Counter()

    def run(self) -> None:
        """Take the steps, then see to it that each job can end."""
        self._submit()
        steps: list[Callable[[], object]] = [
            self._submit,
            self._fork,
            self._extend,
            self._pause,
            self._resume,
            self._preempt,
            self._retry,
        ]
        steps += [self._cancel, self._kill]
        for step in self._draw.choices(steps, weights=[1, 2, 2, 2, 2, 2, 2, 1, 2], k=_STEPS):
            self._await_progress()
            with suppress(ProblemError):  # the job is not in a state for it
                step()
                self.done[step.__name__] += 1
        for job_id in self.jobs:
            while (job := self._settled(job_id)).status == "paused":
                self._dartboard.resume(job.id)
            if job.status == "cancelled" and self._draw.random() < 0.5:
                self._dartboard.wait(self._dartboard.retry(job.id))

    def _settled(self, job_id: UUID) -> JobOut:
        """Once it has ended or paused."""
        job = self._dartboard.job(job_id)
        if not job.status.ended and job.status != "paused":
            for event in self._dartboard.follow(job):
                if event.kind == "status" and self._dartboard.job(job_id).status == "paused":
                    break
        return self._dartboard.job(job_id)

    def _await_progress(self) -> None:
        """Some more events of a running job, so that steps meet jobs at all moments."""
        running = [job for job in map(self._dartboard.job, self.jobs) if job.status == "running"]
        if not running:
            return
        job = self._draw.choice(running)
        for event in itertools.islice(self._dartboard.follow(job, self._seen[job.id]), self._draw.randint(1, 8)):
            self._seen[job.id] = event.sequence
            if event.kind == "status" and self._dartboard.job(job.id).status != "running":
                return

    def _submit(self, **fields: Any) -> JobOut:
        spec = {**_SPEC, "epochs": self._draw.randint(2, 4), "seed": self._draw.randrange(3), **fields}
        job = self._dartboard.submit("search", spec)
        self.jobs.append(job.id)
        return job

    def _preempt(self) -> None:
        self._submit(priority=9, epochs=1)

    def _fork(self) -> None:
        source = self._any()
        stored = self._dartboard.epochs(source.id)
        if stored:
            epoch, what = self._draw.choice(stored).epoch, self._draw.choice(["weights", "alphas", "all"])
            self._submit(init_from={"job": str(source.id), "epoch": epoch, "what": what})

    def _extend(self) -> None:
        job = self._any()
        self._dartboard.extend(job.id, job.spec["epochs"] + self._draw.randint(1, 2))
        self.extended[job.id] += job.status == "succeeded"

    def _pause(self) -> None:
        self._dartboard.pause(self._any().id)

    def _resume(self) -> None:
        self._dartboard.resume(self._any().id)

    def _retry(self) -> None:
        self._dartboard.retry(self._any().id)

    def _cancel(self) -> None:
        self._dartboard.cancel(self._any().id)

    def _kill(self) -> None:
        pid = self._stack.processes["worker-1"].pid
        assert pid is not None
        for child in psutil.Process(pid).children():
            with suppress(psutil.Error):  # it has just ended
                if any("spawn_main" in part for part in child.cmdline()):
                    child.kill()

    def _any(self) -> JobOut:
        return self._dartboard.job(self._draw.choice(self.jobs))


class Undisturbed:
    """Trainings by the final specs of jobs, each from its start to its end in this process."""

    def __init__(self, dartboard: Dartboard, folder: Path, data_root: Path) -> None:
        self._dartboard, self._folder, self._data_root = dartboard, folder, data_root
        self._runs: dict[UUID, list[Checkpoint]] = {}

    def checkpoint(self, job_id: UUID, epoch: int) -> Checkpoint:
        """Of the job's training, after this epoch."""
        if job_id not in self._runs:
            config = SearchConfig(**self._dartboard.job(job_id).spec)
            start = config.init_from
            source = None if start is None else self.checkpoint(UUID(str(start.job)), start.epoch or 0)
            self._runs[job_id] = [
                self._kept(job_id, report.checkpoint)
                for report in run_search(config, data_root=self._data_root, source=source)
            ]
        return self._runs[job_id][epoch - 1]

    def _kept(self, job_id: UUID, checkpoint: Checkpoint) -> Checkpoint:
        path = self._folder / f"{job_id}.pt"
        torch.save(checkpoint, path)
        kept: Checkpoint = torch.load(path, weights_only=True)
        return kept


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_each_job_ends_once_with_the_bits_of_an_undisturbed_training(
    stack: LocalStack, seed: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Dartboard(stack.url) as dartboard:
        sequence = Sequence(stack, dartboard, seed)
        sequence.run()
        record_property("steps", dict(sequence.done))
        undisturbed = Undisturbed(dartboard, tmp_path, tmp_path)
        for job_id in sequence.jobs:
            job = dartboard.job(job_id)
            assert job.status in ("succeeded", "cancelled"), (job.status, job.error, sequence.done)
            ends = Counter(attempt.status for attempt in attempts(stack.url, job))
            epochs = [each.epoch for each in dartboard.epochs(job_id)]
            assert epochs == list(range(1, len(epochs) + 1))
            if job.status == "succeeded":
                assert ends[AttemptStatus.SUCCEEDED] == 1 + sequence.extended[job_id], (ends, sequence.done)
                assert len(epochs) == job.spec["epochs"]
                path = dartboard.download_checkpoint(job_id, tmp_path / "found.pt")
                found = torch.load(path, weights_only=True)
                expected = undisturbed.checkpoint(job_id, len(epochs))
                for name in ("weights", "alphas", "metrics", "genotype"):
                    assert_same_bits(found[name], expected[name])


def attempts(url: str, job: JobOut) -> list[AttemptOut]:
    answer = httpx.get(f"{url}/searches/{job.id}/attempts")
    return [AttemptOut.model_validate(item) for item in answer.json()["items"]]
