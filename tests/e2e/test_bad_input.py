"""Errors that only the worker can find are the job's; a job that a full disk has stopped goes on afterwards."""

import hashlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from api.schemas.jobs import JobOut
from client.events import Event
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.small_search import SEARCH, until

pytestmark = pytest.mark.slow


def _class_folders(root: Path, size: int = 8) -> Path:
    for label in ("cats", "dogs"):
        folder = root / label
        folder.mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (size, size), (i * 10, 40, 200 if label == "cats" else 20)).save(folder / f"{i}.png")
    return root


def test_class_folders_can_be_searched_on(data: Path, dartboard: Dartboard, submit: Callable[..., JobOut]) -> None:
    _class_folders(data / "datasets" / "pets")
    job = dartboard.wait(submit(dataset="folder:pets", epochs=1, batch_size=8, crop_padding=1))
    assert job.status == "succeeded", job.error


def test_a_broken_image_is_named_in_the_jobs_error(
    data: Path, dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    root = _class_folders(data / "datasets" / "broken")
    (root / "dogs" / "7.png").write_bytes(b"not an image")
    job = dartboard.wait(submit(dataset="folder:broken", epochs=1, batch_size=8))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.type == "DataError"
    assert "7.png" in job.error.message
    assert job.attempt == 1


def test_a_broken_image_with_an_undecodable_name_is_still_the_jobs_error(
    data: Path, dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    root = _class_folders(data / "datasets" / "latin")
    (root / "dogs" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"not an image")
    job = dartboard.wait(submit(dataset="folder:latin", epochs=1, batch_size=8))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert "caf" in job.error.message


def test_a_missing_folder_is_named_in_the_jobs_error(dartboard: Dartboard, submit: Callable[..., JobOut]) -> None:
    job = dartboard.wait(submit(dataset="folder:nowhere", epochs=1))
    assert job.error is not None
    assert "nowhere" in job.error.message


def test_a_batch_larger_than_a_folders_data_is_the_jobs_error(
    data: Path, dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    _class_folders(data / "datasets" / "few")
    job = dartboard.wait(submit(dataset="folder:few", epochs=1, batch_size=512))
    assert job.error is not None
    assert "512" in job.error.message


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a few checkpoints."""
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=False).returncode
    ):
        pytest.skip("a small file system can only be mounted as root")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_on_the_worker_pauses_the_job_which_goes_on_after_a_resume(
    tiny_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("full-worker")
    (data / "workers").symlink_to(tiny_disk)
    filler = tiny_disk / "filler"
    with LocalStack(data, port=0, workers=1) as stack, Dartboard(stack.url) as dartboard:
        free = os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_frsize
        filler.write_bytes(b"\0" * (free - 20_000))
        job = dartboard.submit("search", {**SEARCH, "epochs": 2})
        until(dartboard.follow(job), lambda e: e.kind == "status" and e.data["status"] in ("paused", "failed"))
        paused = dartboard.job(job.id)
        assert paused.status == "paused", paused.error
        assert "free some space" in (paused.status_reason or "")
        filler.unlink()
        dartboard.resume(job.id)
        assert dartboard.wait(job).status == "succeeded"


def test_a_full_store_pauses_the_job_which_goes_on_after_a_resume(
    tiny_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    filler = tiny_disk / "filler"
    environment = {"DARTBOARD_ARTIFACTS": str(tiny_disk / "artifacts")}
    with (
        LocalStack(tmp_path_factory.mktemp("full"), port=0, workers=1, environment=environment) as stack,
        Dartboard(stack.url) as dartboard,
    ):
        filler.write_bytes(b"\0" * 1_000_000)
        job = dartboard.submit("search", {**SEARCH, "epochs": 2})
        until(dartboard.follow(job), lambda e: e.kind == "status" and e.data["status"] == "paused")
        assert "free some space" in (dartboard.job(job.id).status_reason or "")
        filler.unlink()
        dartboard.resume(job.id)
        assert dartboard.wait(job).status == "succeeded"


def test_a_store_that_fills_up_keeps_the_last_good_checkpoint_and_shows_nothing_half_written(
    tiny_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store, filler = tiny_disk / "artifacts", tiny_disk / "filler"
    environment = {"DARTBOARD_ARTIFACTS": str(store)}
    with (
        LocalStack(tmp_path_factory.mktemp("filling"), port=0, workers=1, environment=environment) as stack,
        Dartboard(stack.url) as dartboard,
    ):
        undisturbed = dartboard.wait(dartboard.submit("search", {**SEARCH, "epochs": 3}))
        expected = [e.alphas for e in dartboard.epochs(undisturbed.id)]
        dartboard.delete(undisturbed.id)  # there is room for two checkpoints
        job = dartboard.submit("search", {**SEARCH, "epochs": 3})
        until(dartboard.follow(job), lambda e: e.kind == "checkpoint")
        with filler.open("wb", buffering=0) as file, suppress(OSError):  # when it is full
            while True:
                file.write(b"\0" * 4096)
        until(dartboard.follow(job), lambda e: e.kind == "status" and e.data["status"] == "paused")
        told = [e.data for e in _so_far(dartboard, job) if e.kind == "checkpoint"]
        assert 1 <= len(told) < 3
        [kept] = [path for path in store.rglob("*") if path.is_file() and str(job.id) in str(path)]
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == told[-1]["sha256"]
        assert [path for path in (store / "incoming").rglob("*") if path.is_file()] == []
        filler.unlink()
        dartboard.resume(job.id)
        assert dartboard.wait(job).status == "succeeded"
        assert [e.alphas for e in dartboard.epochs(job.id)] == expected


def _so_far(dartboard: Dartboard, job: JobOut) -> Iterator[Event]:
    """What is told of a job up to its pause."""
    for event in dartboard.follow(job):
        yield event
        if event.kind == "status" and event.data["status"] == "paused":
            return


def test_a_job_that_waits_for_the_broker_has_a_reason_and_runs_when_it_is_back(
    dartboard: Dartboard, submit: Callable[..., JobOut], stack: LocalStack
) -> None:
    valkey = stack.processes["valkey"]
    valkey.signal(signal.SIGSTOP)
    try:
        job = submit(epochs=1)
        while "REDIS_URL" not in (dartboard.job(job.id).status_reason or ""):
            threading.Event().wait(0.2)  # what a job waits for has no event
    finally:
        valkey.signal(signal.SIGCONT)
    assert dartboard.wait(job).status == "succeeded"
