"""A real API on real Postgres and Valkey, without workers: the tests themselves speak the workers' side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.schemas.jobs import JobOut
from api.schemas.worker import Claim, Claimed, EpochReport, Finish
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.genotypes import KNOWN, to_json
from worker.api_client import AttemptApi, WorkerApi

LEASE_SECONDS = 1.0


@dataclass(frozen=True)
class Service:
    """A running service and the ways to talk to it."""

    url: str
    worker_key: str
    data: Path
    database_url: str
    broker_url: str

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("service")
    environment = {
        "DARTBOARD_LEASE_SECONDS": str(LEASE_SECONDS),
        "DARTBOARD_SWEEP_SECONDS": "0.1",
        "DARTBOARD_WAKE_SECONDS": "0.1",
        "DARTBOARD_MAX_UPLOAD_BYTES": str(8 * 2**30),
    }
    with LocalStack(data, port=0, workers=0, environment=environment) as stack:
        key = json.loads((data / "secrets.json").read_text())["worker_key"]
        told = stack.processes["api"].command.environment
        yield Service(stack.url, key, data, told["DATABASE_URL"], told["REDIS_URL"])


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http as client:
        yield client


@pytest.fixture
def dartboard(service: Service) -> Iterator[Dartboard]:
    with Dartboard(service.url) as sdk:
        yield sdk


@pytest.fixture
def worker_api(service: Service) -> Iterator[WorkerApi]:
    with WorkerApi(service.url, service.worker_key) as api:
        yield api


@pytest.fixture
def pool() -> str:
    """A pool of the test's own, so that no other test's claim takes its jobs."""
    return f"test-{uuid4().hex[:12]}"


@dataclass
class FakeTraining:
    """What a worker does between claim and finish, without the training."""

    api: WorkerApi
    claimed: Claimed
    folder: Path
    sent: int = 0

    @property
    def attempt(self) -> AttemptApi:
        return self.api.attempt(str(self.claimed.attempt_id), self.claimed.token)

    def number(self) -> int:
        self.sent += 1
        return self.sent

    def report(
        self,
        epoch: int,
        content: bytes | None = None,
        alphas: dict[str, list[list[float]]] | None = None,
        **metrics: float,
    ) -> EpochReport:
        """Upload a checkpoint and report its epoch; the report, to send it again."""
        path = self.folder / f"epoch-{epoch}.pt"
        path.write_bytes(content or f"checkpoint of epoch {epoch}".encode())
        stored = self.attempt.upload(path)
        report = EpochReport(
            n=self.number(),
            epoch=epoch,
            metrics={"validation_accuracy": 50.0, **metrics},
            seconds=1.5,
            genotype=to_json(KNOWN["DARTS_V2"]),
            alphas=alphas or {"normal": [[0.5, 0.25]], "reduce": [[0.125, float(epoch)]]},
            checkpoint=path.name,
            sha256=stored.sha256,
            waited=0.25,
        )
        self.attempt.report_epoch(report)
        return report

    def finish(self) -> None:
        self.attempt.finish(Finish(n=self.number()))


@dataclass(frozen=True)
class Bench:
    """Submits jobs to one pool and claims them from it."""

    dartboard: Dartboard
    api: WorkerApi
    pool: str
    folder: Path

    def submit(self, **fields: Any) -> JobOut:
        return self.dartboard.submit("search", {"dataset": "digits", "epochs": 3, "pool": self.pool, **fields})

    def claim(self, worker: str = "worker-a", threads: int = 2) -> FakeTraining:
        claimed = self.api.claim(Claim(worker=worker, pools=[self.pool], threads=threads))
        assert claimed is not None
        return FakeTraining(self.api, claimed, self.folder)

    def nothing_to_claim(self) -> bool:
        return self.api.claim(Claim(worker="worker-a", pools=[self.pool], threads=2)) is None

    def wait_for_status(self, job: JobOut, *statuses: str) -> JobOut:
        """Follow the job's events until it reaches one of these."""
        for event in self.dartboard.follow(job):
            if event.kind == "status" and event.data["status"] in statuses and event.sequence > 1:
                break
        return self.dartboard.job(job.id)


@pytest.fixture
def bench(dartboard: Dartboard, worker_api: WorkerApi, pool: str, tmp_path: Path) -> Bench:
    return Bench(dartboard, worker_api, pool, tmp_path)


@pytest.fixture
def worker_headers(service: Service) -> dict[str, str]:
    """What a worker shows the service."""
    return {"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": "t" * 40}
