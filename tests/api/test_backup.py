"""Backup, wipe, restore: everything is there."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.local.backups import backup, restore
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.runtime.errors import StackError
from tests.support.checkpoint_files import ours
from tests.support.service import Bench
from worker.api_client import WorkerApi

pytestmark = [pytest.mark.stack, pytest.mark.slow]

# The running job must not lose its lease during the backup.
PATIENT = {"DARTBOARD_LEASE_SECONDS": "3600"}

EVALUATION = {"genotype": "DARTS_V2", "dataset": "digits", "epochs": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(scope="module")
def before(folder: Path) -> dict[str, Any]:
    """What a service said that was backed up while it ran, to `all.tar`, and is gone."""
    data = folder / "data"
    with LocalStack(data, port=0, workers=0, environment=PATIENT) as stack, Dartboard(stack.url) as dartboard:
        key = json.loads((data / "secrets.json").read_text())["worker_key"]
        with WorkerApi(stack.url, key) as api:
            bench = Bench(dartboard, api, "default", folder)
            dartboard.submit("evaluation", EVALUATION)
            training = bench.claim()
            for epoch in (1, 2):
                training.report(epoch)
            training.finish()
            dartboard.submit("evaluation", EVALUATION)
            bench.claim().report(1)  # runs on
        httpx.post(f"{stack.url}/checkpoints", files={"file": ("my.pt", ours())}).raise_for_status()
        backup(data, folder / "all.tar")
        said = everything(stack.url)
    shutil.rmtree(data)
    return said


def everything(url: str) -> dict[str, Any]:
    """All that the service says and hands out."""
    said: dict[str, Any] = {}
    with httpx.Client(base_url=url, timeout=20) as http:
        said["checkpoints"] = http.get("/checkpoints").json()
        found = [upload["download"] for upload in said["checkpoints"]["items"]]
        for job in http.get("/evaluations").json()["items"]:
            for part in ("epochs", "attempts", "checkpoints", "logs"):
                said[f"{job['id']} {part}"] = http.get(f"/evaluations/{job['id']}/{part}").json()
            found += [c["download"] for c in said[f"{job['id']} checkpoints"]["items"]]
            if job["status"] == "succeeded":
                said[f"{job['id']}"] = job
                said[f"{job['id']} events"] = http.get(f"/evaluations/{job['id']}/events").text
        for download in found:
            answer = http.get(download)
            assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
            said[download] = answer.content
    return said


def test_everything_is_there_after_backup_wipe_and_restore(before: dict[str, Any], folder: Path) -> None:
    restore(folder / "restored", folder / "all.tar")
    with LocalStack(folder / "restored", port=0, workers=0, environment=PATIENT) as stack:
        after = everything(stack.url)
    assert sum(isinstance(content, bytes) for content in before.values()) == 4
    assert after == before


def test_a_backup_with_a_damaged_file_is_refused(
    before: dict[str, Any], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = folder / "damaged.tar"
    content = (folder / "all.tar").read_bytes()
    assert content.count(b"checkpoint of epoch 2") == 1
    damaged.write_bytes(content.replace(b"checkpoint of epoch 2", b"checkpoint of epoch X"))
    with pytest.raises(StackError, match="nothing was restored"):
        restore(folder / "refused", damaged)
    assert "the backup is damaged" in capfd.readouterr().err
    assert not (folder / "refused").exists()
    # In a folder that was there its own files stay.
    (folder / "mine" / "datasets").mkdir(parents=True)
    with pytest.raises(StackError, match="nothing was restored"):
        restore(folder / "mine", damaged)
    assert [path.name for path in (folder / "mine").iterdir()] == ["datasets"]


def test_nothing_is_restored_over_something(before: dict[str, Any], folder: Path) -> None:
    (folder / "taken" / "postgres").mkdir(parents=True)
    with pytest.raises(StackError, match="restore into a new folder"):
        restore(folder / "taken", folder / "all.tar")


def test_a_backup_can_be_read_by_its_owner_alone(before: dict[str, Any], folder: Path) -> None:
    assert (folder / "all.tar").stat().st_mode & 0o777 == 0o600
    with tarfile.open(folder / "all.tar") as tar:
        assert tar.getnames()[:2] == ["manifest.json", "database.dump"]
