"""`dartboard check-store`, and backups of a store that has lost files."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from typer.testing import CliRunner

from api.artifacts.local import LocalArtifacts
from api.artifacts.store import Found
from api.check_store import check_store
from client.cli import app
from client.local.backups import backup, restore
from client.local.data_directory import stored_secrets
from client.local.postgres import running_url
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.runtime.errors import StackError
from tests.support.checkpoint_files import ours
from tests.support.service import Bench
from worker.api_client import WorkerApi

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@dataclass
class Running:
    """A service with an evaluation of three kept epochs and an uploaded checkpoint that is scored."""

    data: Path
    http: httpx.Client
    evaluation: UUID
    content: bytes

    def file(self, ending: str) -> Path:
        [path] = (self.data / "artifacts").rglob(f"*{ending}")
        return path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    data = tmp_path / "data"
    with (
        LocalStack(data, port=0, workers=0) as stack,
        Dartboard(stack.url) as dartboard,
        httpx.Client(base_url=stack.url, timeout=20) as http,
        WorkerApi(stack.url, json.loads((data / "secrets.json").read_text())["worker_key"]) as api,
    ):
        body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 3, "checkpoint_every": 1}
        job = dartboard.submit("evaluation", body)
        training = Bench(dartboard, api, "default", tmp_path).claim()
        for epoch in (1, 2, 3):
            training.report(epoch)
        training.finish()
        uploaded = http.post("/checkpoints", files={"file": ("my.pt", content := ours())}).json()
        http.get(f"/checkpoints/{uploaded['id']}?format=safetensors").raise_for_status()
        dartboard.submit("score", {"checkpoint_id": uploaded["id"], "dataset": "digits"})
        yield Running(data, http, job.id, content)


def _checked(running: Running, capfd: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, Any]]:
    capfd.readouterr()
    ended = CliRunner().invoke(app, ["check-store", "--data", str(running.data), "--json", *flags])
    report: dict[str, Any] = json.loads(capfd.readouterr().out)
    return ended.exit_code, report


def test_an_intact_store_is_said_to_be_intact(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    code, report = _checked(running, capfd)
    assert code == 0
    assert (report["files"], report["damaged"], report["unnamed"]) == (5, [], [])


def test_every_damaged_and_missing_file_is_named_with_its_job(
    running: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    running.file("epoch-1.pt").write_bytes(b"cut")
    running.file("epoch-2.pt").unlink()
    path = running.file("epoch-3.pt")
    path.write_bytes(b"x" * path.stat().st_size)
    code, report = _checked(running, capfd)
    assert code == 1
    told = {(file["of"], file["problem"].split(" ")[0], file["problem"].split(" ")[1]) for file in report["damaged"]}
    job = f"evaluation {running.evaluation}, epoch"
    assert told == {(f"{job} 1", "has", "3"), (f"{job} 2", "is", "missing"), (f"{job} 3", "has", "the")}
    assert CliRunner().invoke(app, ["check-store", "--data", str(running.data)]).exit_code == 1
    assert f"({job} 2) is missing" in capfd.readouterr().out


def test_repair_takes_an_intact_file_of_the_same_bytes(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    running.file("given.pt").unlink()
    code, report = _checked(running, capfd, "--repair")
    assert code == 0
    assert [file["repaired"] for file in report["damaged"]] == [True]
    assert running.file("given.pt").read_bytes() == running.content
    assert _checked(running, capfd)[0] == 0


def test_the_same_upload_again_heals_a_damaged_one(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    [path] = (running.data / "artifacts" / "uploads").glob("*.pt")
    path.unlink()
    assert _checked(running, capfd)[0] == 1
    assert running.http.post("/checkpoints", files={"file": ("my.pt", running.content)}).status_code == 200
    assert _checked(running, capfd)[0] == 0


def test_files_that_no_row_names_are_listed_and_kept_for_a_day(
    running: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    (running.data / "artifacts" / "uploads" / "left.pt").write_bytes(b"left over")
    code, report = _checked(running, capfd, "--remove-unnamed")
    assert code == 0
    assert report["unnamed"] == [{"key": "uploads/left.pt", "size": 9, "removed": False}]


def test_old_orphans_are_removed_with_their_derived_files_and_no_others(running: Running) -> None:
    class Aged(LocalArtifacts):
        """No test can make a file's entry look old."""

        async def files(self) -> dict[str, Found]:
            return {key: Found(file.size, 0.0) for key, file in (await super().files()).items()}

    root = running.data / "artifacts"
    kept = {path for path in root.rglob("*") if path.is_file()}
    for name in ("left.pt", "left.pt.safetensors", "left.pt.py"):
        (root / "uploads" / name).write_bytes(b"left over")
    url = running_url(running.data, stored_secrets(running.data))
    assert url is not None
    report = asyncio.run(check_store(url, Aged(root, 1000), remove_unnamed=True))
    assert [(file.key, file.removed) for file in report.unnamed] == [("uploads/left.pt", True)]
    assert {path for path in root.rglob("*") if path.is_file()} == kept


def test_a_backup_goes_on_without_the_damaged_files_and_names_them_all(
    running: Running, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    running.file("epoch-1.pt").write_bytes(b"damaged")
    running.file("epoch-2.pt").unlink()
    with pytest.raises(StackError, match=r"all.tar is written, without the files named above"):
        backup(running.data, tmp_path / "all.tar")
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert any("epoch 1" in line and "has the checksum" in line for line in warnings)
    assert any("epoch 2" in line and "is missing" in line for line in warnings)
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert sum(name.startswith("files/") for name in tar.getnames()) == 3
    restore(tmp_path / "restored", tmp_path / "all.tar")
    [last] = (tmp_path / "restored" / "artifacts").rglob("*epoch-3.pt")
    assert last.read_bytes() == b"checkpoint of epoch 3"


def test_a_backup_of_another_store_is_refused(running: Running, tmp_path: Path) -> None:
    os.rename(running.data / "artifacts", tmp_path / "elsewhere")
    (running.data / "artifacts").mkdir()
    with pytest.raises(StackError, match="nothing was changed"):
        backup(running.data, tmp_path / "all.tar")


def test_a_second_backup_leaves_the_first_ones_files_alone(
    running: Running, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (running.data / "artifacts" / ".backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stage = running.data / "artifacts" / ".backup-first"
        stage.mkdir()
        with pytest.raises(StackError, match="nothing was changed"):
            backup(running.data, tmp_path / "all.tar")
        assert "another backup of" in capfd.readouterr().err
        assert stage.is_dir()
    backup(running.data, tmp_path / "all.tar")
    assert not stage.exists()
    assert _checked(running, capfd)[1]["unnamed"] == []
