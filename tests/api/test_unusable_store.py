"""A store whose disk is full, read-only, broken or forbidden answers with the cause, never with 500."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from api.artifacts import StoreFullError
from api.artifacts.local import LocalArtifacts
from api.http.problems import ProblemError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.checkpoint_files import ours
from tests.support.service import Bench
from worker.api_client import StoreFullError as WorkerStoreFullError
from worker.api_client import WorkerApi

pytestmark = pytest.mark.stack


async def _bytes() -> AsyncIterator[bytes]:
    yield b"x"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", tmp_path], check=False)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def _make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


async def _copied(path: Path, to: Path) -> None:
    await asyncio.to_thread(lambda: to.write_bytes(path.read_bytes()))


def test_everything_that_writes_to_a_read_only_store_is_507_with_the_cause(disk: Path, tmp_path: Path) -> None:
    store = LocalArtifacts(disk, 1000)
    store.prepare()
    asyncio.run(store.put("job/1/a.pt", _bytes(), None))
    made = disk / "incoming" / "made"
    made.write_bytes(b"made")
    _make_read_only(disk)

    async def worked() -> None:
        with store.workspace():
            pass

    for write in (
        store.put("job/1/b.pt", _bytes(), None),
        store.adopt(made, "job/1/b.pt"),
        store.move("job/1/a.pt", "job/1/b.pt"),
        store.link("job/1/a.pt", "job/2/a.pt"),
        store.delete(["job/1/a.pt"]),
        store.derived("job/1/a.pt", ".safetensors", _copied),
        worked(),
    ):
        with pytest.raises(StoreFullError, match="Read-only file system") as refused:
            asyncio.run(write)
        assert refused.value.status == 507
    assert asyncio.run(store.stat("job/1/a.pt")) is not None


@pytest.mark.parametrize(
    ("code", "status"),
    [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EROFS, 507), (errno.EACCES, 503), (errno.EIO, 503)],
)
def test_each_error_of_a_disk_has_its_answer(
    code: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalArtifacts(tmp_path, 1000)
    store.prepare()

    def failing(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(ProblemError, match=os.strerror(code)) as refused:
        asyncio.run(store.put("job/1/a.pt", _bytes(), None))
    assert refused.value.status == status
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_store_whose_folder_is_gone_is_503(tmp_path: Path) -> None:
    store = LocalArtifacts(tmp_path / "gone", 1000)
    store.prepare()
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(ProblemError, match="No such file or directory") as refused:
        asyncio.run(store.put("a.pt", _bytes(), None))
    assert refused.value.status == 503


def test_a_service_with_a_read_only_store_answers_507_and_pauses_the_job(
    disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("read-only")
    environment = {"DARTBOARD_ARTIFACTS": str(disk)}
    with (
        LocalStack(data, port=0, workers=0, environment=environment) as stack,
        Dartboard(stack.url) as dartboard,
        httpx.Client(base_url=stack.url, timeout=20) as http,
        WorkerApi(stack.url, json.loads((data / "secrets.json").read_text())["worker_key"]) as api,
    ):
        upload = http.post("/checkpoints", files={"file": ("my.pt", ours())}).json()
        bench = Bench(dartboard, api, "default", data)
        job = bench.submit()
        training = bench.claim()
        _make_read_only(disk)
        answers = [
            http.post("/checkpoints", files={"file": ("other.pt", ours())}),
            http.post("/datasets", data={"name": "images"}, files={"file": ("a.tar.gz", b"\x1f\x8b" + b"\0" * 600)}),
            http.post("/scores", json={"checkpoint_id": upload["id"], "dataset": "digits"}),
            http.get(f"/checkpoints/{upload['id']}?format=safetensors"),
        ]
        assert [answer.status_code for answer in answers] == [507] * 4
        assert all("Read-only file system" in answer.json()["detail"] for answer in answers)
        assert http.get(f"/checkpoints/{upload['id']}").status_code == 200
        with pytest.raises(WorkerStoreFullError, match="Read-only file system"):
            training.report(1)
        assert dartboard.job(job.id).status == "paused"
