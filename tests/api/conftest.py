"""A real API on real Postgres and Valkey, without workers: the tests themselves speak the workers' side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.databases import plain
from tests.support.mailbox import Mailbox, mailbox
from tests.support.service import Bench, EndLease, Service, SimulatedAttempt
from worker.api_client import WorkerApi


@pytest.fixture(scope="session")
def mail() -> Iterator[Mailbox]:
    """Where the service's e-mail arrives."""
    with mailbox() as box:
        yield box


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, mail: Mailbox) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("service")
    environment = {
        # Longer than a busy machine keeps a test or the API waiting; `end_lease` ends one at once.
        "DARTBOARD_LEASE_SECONDS": "10",
        "DARTBOARD_SWEEP_SECONDS": "0.25",
        "DARTBOARD_WAKE_SECONDS": "0.25",
        "DARTBOARD_MAX_UPLOAD_BYTES": str(8 * 2**30),
        # Not localhost, so that this is refused.
        "DARTBOARD_WEBHOOK_HOSTS": "127.0.0.1",
        "DARTBOARD_WEBHOOK_RETRY_SECONDS": "0.1",
        "DARTBOARD_SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
        "DARTBOARD_SMTP_FROM": "dartboard@example.org",
        "DARTBOARD_SMTP_DOMAINS": "example.org",
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


@pytest.fixture
def bench(dartboard: Dartboard, worker_api: WorkerApi, pool: str, tmp_path: Path) -> Bench:
    return Bench(dartboard, worker_api, pool, tmp_path)


@pytest.fixture
def end_lease(service: Service) -> EndLease:
    """Ends an attempt's lease at once, as if its worker had been silent for so long."""

    def end(training: SimulatedAttempt) -> None:
        with psycopg.connect(plain(service.database_url)) as connection:
            connection.execute(
                "update attempts set lease_expires_at = now() - interval '1 second' where id = %s",
                (training.claimed.attempt_id,),
            )

    return end


@pytest.fixture
def worker_headers(service: Service) -> dict[str, str]:
    """What a worker shows the service."""
    return {"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": "t" * 40}
