"""The command, called in this process against a service that holds hostile texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from api.schemas.worker import Claim, Fail, LogEntry, LogReport, Presence
from client.sdk import Dartboard
from tests.support.archives import pets, tar_of
from tests.support.checkpoint_files import ours
from tests.support.command import NAME, POOL, Caller, Furnished
from tests.support.command_tree import HOSTILE
from tests.support.databases import plain
from tests.support.service import Bench, Service
from tests.support.simulated_worker import SimulatedWorker
from worker.api_client import WorkerApi


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """In an empty folder, at no service."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("DARTBOARD_API_KEY", raising=False)
    monkeypatch.setenv("DARTBOARD_URL", "http://127.0.0.1:1")
    return Caller(capsys)


@pytest.fixture
def at_service(called: Caller, service: Service, monkeypatch: pytest.MonkeyPatch) -> Caller:
    monkeypatch.setenv("DARTBOARD_URL", service.url)
    return called


@pytest.fixture(scope="session")
def furnished(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    folder = tmp_path_factory.mktemp("furnished")
    with Dartboard(service.url) as dartboard, WorkerApi(service.url, service.worker_key) as api:
        bench = Bench(dartboard, api, POOL, folder)
        waiting = bench.submit(pool=f"{POOL}-waiting")
        succeeded, failed = bench.submit(epochs=1), bench.submit(epochs=1)
        training = bench.claim()
        training.attempt.report_logs(_hostile_log(training.number()))
        training.report(1)
        training.finish()
        claimed = api.claim(Claim(worker="worker-a", pools=[POOL], threads=2))
        assert claimed is not None
        error = {"type": "Diverged", "message": NAME}
        end = Fail.model_validate({"n": 1, "outcome": "failed", "error": error})
        api.attempt(str(claimed.attempt_id), claimed.token).fail(end)
        worker = SimulatedWorker(dartboard, api, folder, POOL)
        study = worker.work_until_ended(worker.study())
        (folder / "mine.pt").write_bytes(ours())
        checkpoint = dartboard.upload_checkpoint(folder / "mine.pt").id
        files = pets() | {f"cat/{NAME}.png": b"no picture", "cat/a\nb.png": b"nor this"}
        (folder / "pets.tar").write_bytes(tar_of(files))
        dartboard.add_dataset("hostile", folder / "pets.tar")
        dartboard.wait_for_dataset("hostile")
        api.show(Presence(name="worker-a", device="cpu", version="0", pools=[POOL]))
        _make_hostile(service)
        yield Furnished(succeeded, failed, study, waiting, checkpoint)
        worker.leave()


def _hostile_log(number: int) -> LogReport:
    lines = [LogEntry(time=datetime.now(UTC), level="warning", message=text) for text in (*HOSTILE, NAME)]
    return LogReport(n=number, lines=lines)


def _make_hostile(service: Service) -> None:
    url = plain(service.database_url)
    with psycopg.connect(url) as connection:
        connection.execute(
            "update jobs set name = %s, status_reason = %s, labels = %s, worker = %s where pool = %s",
            (NAME, NAME, json.dumps({NAME: NAME}), NAME, POOL),
        )
        connection.execute("update workers set name = %s where name = 'worker-a'", (NAME,))
        connection.execute("update uploads set name = %s", (NAME,))
