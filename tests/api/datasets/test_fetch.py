"""How a worker comes by an uploaded set, from a running API."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import uuid4

import pytest

from client.sdk import Dartboard
from darts_core.data import load
from darts_core.data.catalogue import upload_path
from darts_core.errors import Stopped
from tests.support.archives import pets, tar_of
from worker.api_client import AttemptApi, RefusedError, WorkerApi
from worker.control import AttemptControl, StopReason
from worker.datasets import fetch


@pytest.fixture
def checksum(dartboard: Dartboard, tmp_path: Path) -> str:
    (tmp_path / "pets.tar").write_bytes(tar_of(pets(3000)))
    name = f"pets-{uuid4().hex[:8]}"
    dartboard.add_dataset(name, tmp_path / "pets.tar")
    found = dartboard.wait_for_dataset(name).checksum
    assert found is not None
    return found


@pytest.fixture
def attempt(worker_api: WorkerApi) -> AttemptApi:
    return worker_api.attempt(str(uuid4()), "token")


def test_set_is_fetched_once_and_read_by_its_checksum(attempt: AttemptApi, checksum: str, tmp_path: Path) -> None:
    fetch(attempt, checksum, tmp_path, AttemptControl())
    place = upload_path(tmp_path, checksum)
    before = place.stat()
    fetch(attempt, checksum, tmp_path, AttemptControl())
    assert place.stat().st_mtime_ns == before.st_mtime_ns
    assert len(load("pets", tmp_path, checksum).train_images) == 29


def test_broken_download_is_continued(attempt: AttemptApi, checksum: str, tmp_path: Path) -> None:
    fetch(attempt, checksum, tmp_path / "whole", AttemptControl())
    content = upload_path(tmp_path / "whole", checksum).read_bytes()
    place = upload_path(tmp_path, checksum)
    place.parent.mkdir(parents=True)
    # Marked, so that a download from the start would be seen to have replaced it.
    place.with_suffix(".part").write_bytes(b"x" * 100)
    attempt.download_dataset(checksum, place.with_suffix(".part"))
    assert place.with_suffix(".part").read_bytes() == b"x" * 100 + content[100:]


@pytest.mark.parametrize("length", [100, 10**6])
def test_part_with_other_content_is_fetched_anew(
    attempt: AttemptApi, checksum: str, tmp_path: Path, length: int
) -> None:
    place = upload_path(tmp_path, checksum)
    place.parent.mkdir(parents=True)
    place.with_suffix(".part").write_bytes(b"x" * length)
    fetch(attempt, checksum, tmp_path, AttemptControl())
    load("pets", tmp_path, checksum)


def test_two_workers_of_a_machine_share_one_file(attempt: AttemptApi, checksum: str, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            fetch(attempt, checksum, tmp_path, AttemptControl())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    load("pets", tmp_path, checksum)
    assert not list(tmp_path.glob("uploads/*.part"))


def test_set_that_has_been_deleted_is_refused_by_its_checksum(attempt: AttemptApi, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="it has been deleted"):
        fetch(attempt, "ab" * 32, tmp_path, AttemptControl())


def test_fetch_ends_when_the_attempt_is_stopped(tmp_path: Path) -> None:
    control = AttemptControl()
    control.reason = StopReason.DRAIN
    control.stopping.set()
    with WorkerApi("http://127.0.0.1:9", "key") as absent, pytest.raises(Stopped):
        fetch(absent.attempt(str(uuid4()), "token"), "ab" * 32, tmp_path, control)
