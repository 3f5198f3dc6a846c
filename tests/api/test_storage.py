"""What files take of the disk by owner, and what a full disk names."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.keys import Role
from api.schemas.storage import Freeable, OwnerStorage
from client.cli import app
from client.local.stack import LocalStack
from client.sdk import Dartboard
from client.sizes import size
from tests.support.checkpoint_files import ours
from tests.support.receiver import receiving
from tests.support.retained import Retained
from tests.support.service import Bench, Service
from worker.api_client import StoreFullError, WorkerApi


@pytest.fixture
def local(service: Service, bench: Bench) -> Retained:
    return Retained(bench, service.database_url, service.data / "artifacts")


@pytest.fixture
def ada(local: Retained) -> Dartboard:
    return Dartboard(local.admin.url, local.admin.create_key(Role.USER, f"ada-{uuid4().hex[:8]}").key)


def owned(local: Retained, owner: str | None) -> OwnerStorage:
    [found] = [each for each in local.admin.storage().owners if each.owner == owner]
    return found


def freeable(local: Retained, which: object) -> list[Freeable]:
    return [each for each in local.admin.storage().frees_most if each.id == str(which)]


def test_files_count_for_their_owner_by_kind_and_shared_ones_once(local: Retained, ada: Dartboard) -> None:
    search = local.job(2, sdk=ada, size=1000)
    local.job(1, sdk=ada, kind="evaluation", size=500)
    path = local.bench.folder / "own.pt"
    path.write_bytes(ours())
    upload = ada.upload_checkpoint(path)
    ada.submit("score", {"checkpoint_id": str(upload.id), "dataset": "digits", "pool": "unserved"})
    fork = {"dataset": "digits", "init_from": {"job": str(search.id), "what": "all"}, "pool": "unserved"}
    ada.submit("search", fork)
    found = owned(local, search.owner)
    assert found.jobs["search"] == 2000
    assert found.jobs["evaluation"] == 500
    assert found.uploads + found.jobs.get("score", 0) == upload.size
    assert found.bytes == 2500 + upload.size


def test_what_can_be_deleted_frees_what_is_said(local: Retained, ada: Dartboard) -> None:
    job = local.job(2, sdk=ada, size=3_000_000, name="large")
    [found] = freeable(local, job.id)
    assert (found.kind, found.name, found.owner, found.bytes) == ("search", "large", job.owner, 6_000_000)
    before = sum(local.files().values())
    result = CliRunner().invoke(app, [*found.command.split()[1:], "--url", local.admin.url])
    assert result.exit_code == 0, result.output
    assert before - sum(local.files().values()) == 6_000_000
    assert freeable(local, job.id) == []


def test_what_is_pinned_or_at_work_is_not_named(local: Retained, ada: Dartboard) -> None:
    pinned = local.job(1, sdk=ada, size=4_000_000)
    half = local.job(1, sdk=ada, size=4_000_000)
    running = local.job(1, sdk=ada, size=4_000_000, end="running")
    ada.update(pinned.id, pinned=True)
    ada.pin(half.id, 1)
    assert [freeable(local, job.id) for job in (pinned, half, running)] == [[], [], []]
    for job in (pinned, half):
        ada.delete(job.id)


def test_a_file_that_another_job_needs_does_not_count_as_free(local: Retained, ada: Dartboard) -> None:
    job = local.job(2, sdk=ada, size=2_000_000)
    start = {"job": str(job.id), "epoch": 1, "what": "all"}
    ada.submit("search", {"dataset": "digits", "init_from": start, "pool": "unserved"})
    assert [each.bytes for each in freeable(local, job.id)] == [2_000_000]
    ada.delete(job.id)


def test_the_command_lists_owners_and_what_frees_most(local: Retained, ada: Dartboard) -> None:
    job = local.job(2, sdk=ada, size=5_000_000, name="a large one")
    result = CliRunner().invoke(app, ["storage", "--wide", "--url", local.admin.url])
    assert result.exit_code == 0, result.output
    assert f"dartboard delete {job.id}" in result.output
    assert any(line.startswith(str(job.owner)) and "10 MB" in line for line in result.output.splitlines())
    ada.delete(job.id)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (4_070_000, "4.07 MB"), (999_999, "1 MB"), (1.2e15, "1,200 TB")],
)
def test_sizes_have_three_digits(number: float, shown: str) -> None:
    assert size(number) == shown


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path], check=False)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_store_pauses_the_job_tells_its_webhooks_and_names_what_frees_most(
    small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("full")
    environment = {"DARTBOARD_ARTIFACTS": str(small_disk), "DARTBOARD_WEBHOOK_HOSTS": "127.0.0.1"}
    with (
        LocalStack(data, port=0, workers=0, environment=environment) as stack,
        Dartboard(stack.url) as dartboard,
        WorkerApi(stack.url, json.loads((data / "secrets.json").read_text())["worker_key"]) as api,
        receiving() as receiver,
    ):
        bench = Bench(dartboard, api, "default", data)
        retained = Retained(bench, stack.processes["api"].command.environment["DATABASE_URL"], small_disk)
        dartboard.add_webhook(receiver.url, events=["job.disk_full"])
        ended = retained.job(3, size=2_000_000, name="the large one")
        job = bench.submit()
        training = bench.claim()
        with pytest.raises(StoreFullError, match="free some space"):
            training.report(1, os.urandom(3_000_000))
        paused = dartboard.job(job.id)
        reason = paused.status_reason or ""
        assert paused.status == "paused"
        assert "ended jobs can spare checkpoints of 2,000,000 bytes (dartboard retention preview --days 0)" in reason
        assert f"the search the large one has 6,000,000 (dartboard delete {ended.id})" in reason
        told = receiver.next().json
        assert (told["type"], told["data"]["job"]["id"], told["data"]["reason"]) == (
            "job.disk_full",
            str(job.id),
            reason,
        )
        with httpx.Client(base_url=stack.url) as http:
            files = {"file": ("a.tar.gz", b"\x1f\x8b" + b"\0" * 3_000_000)}
            refused = http.post("/datasets", data={"name": "images"}, files=files)
        assert (refused.status_code, f"dartboard delete {ended.id}" in refused.json()["detail"]) == (507, True)
        dartboard.set_retention(days=0)
        assert dartboard.sweep_retention().bytes == 2_000_000
        dartboard.resume(job.id)
        bench.claim().report(1, os.urandom(3_000_000))
