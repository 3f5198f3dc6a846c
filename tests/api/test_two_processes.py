"""Two API processes side by side on one database, broker and artifact store."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from api.artifacts.staging import Incoming
from api.schemas.worker import Claim
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.heartbeats import heartbeats
from tests.support.service import Bench, Service
from worker.api_client import WorkerApi

pytestmark = pytest.mark.stack

Second = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def second(service: Service, tmp_path: Path) -> Second:
    """Starts a second API process beside the first one; its URL."""

    @contextmanager
    def start() -> Iterator[str]:
        data = tmp_path / "second"
        data.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(service.data / "secrets.json", data)  # the same worker key
        environment = {
            "DATABASE_URL": service.database_url,
            "REDIS_URL": service.broker_url,
            "DARTBOARD_ARTIFACTS": str(service.data / "artifacts"),
            "DARTBOARD_LEASE_SECONDS": "4",
            "DARTBOARD_SWEEP_SECONDS": "0.1",
        }
        with LocalStack(data, port=0, workers=0, environment=environment) as stack:
            yield stack.url

    return start


def test_a_process_that_starts_leaves_another_ones_upload_alone(service: Service, bench: Bench, second: Second) -> None:
    bench.submit()
    training = bench.claim()
    claimed = training.claimed
    halves = os.urandom(3_000_000), os.urandom(3_000_000)

    def content() -> Iterator[bytes]:
        yield halves[0]
        with second():
            yield halves[1]

    with heartbeats(training.attempt):
        answer = httpx.put(
            f"{service.url}/worker/attempts/{claimed.attempt_id}/files/epoch-1.pt",
            headers={"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": claimed.token},
            content=content(),
            timeout=120,
        )
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(b"".join(halves)).hexdigest()


def test_a_job_submitted_to_one_process_is_done_through_the_other(
    service: Service, bench: Bench, second: Second, dartboard: Dartboard
) -> None:
    with second() as url, Dartboard(url) as other, WorkerApi(url, service.worker_key) as worker:
        job = bench.submit()
        events = other.follow(job)
        assert next(events).data["status"] == "queued"
        claimed = worker.claim(Claim(worker="worker-b", pools=[bench.pool], threads=1))
        assert claimed is not None
        assert bench.nothing_to_claim()  # whichever process is asked
        assert next(events).data["status"] == "running"
        # Silent from here on: both processes sweep, one of them ends the lease.
        lost = next(e for e in events if e.kind == "status" and e.data["status"] == "queued")
        assert lost.data["attempt"] == 1
        assert dartboard.job(job.id).attempt == 1


def test_only_folders_of_dead_processes_are_removed(tmp_path: Path) -> None:
    mine = Incoming(tmp_path)
    (mine.folder / "half").write_bytes(b"written still")
    dead = tmp_path / "dead"
    dead.mkdir()
    (dead / "half").write_bytes(b"never to be ended")
    other = Incoming(tmp_path)
    assert (mine.folder / "half").exists()
    assert not dead.exists()
    assert mine.folder != other.folder


def test_a_request_s_file_is_removed_a_day_later(tmp_path: Path) -> None:
    young, old = tmp_path / "young", tmp_path / "old"
    young.write_bytes(b"x")
    old.write_bytes(b"x")
    os.utime(old, (time.time() - 90_000,) * 2)
    Incoming(tmp_path)
    assert young.exists()
    assert not old.exists()
