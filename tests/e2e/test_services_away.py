"""Messages to a user whose database or broker is missing at the start."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client.local.stack import LocalStack
from darts_core.runtime.errors import StackError


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A bound port, which no other process gets, without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_database_that_is_away_ends_the_start_with_its_address(tmp_path: Path, closed_port: int) -> None:
    url = f"postgresql+psycopg://someone@127.0.0.1:{closed_port}/dartboard"
    stack = LocalStack(tmp_path, port=0, workers=0, environment={"DATABASE_URL": url})
    with pytest.raises(StackError, match=rf"127\.0\.0\.1.*{closed_port}"):
        stack.start()


def test_a_broker_that_is_away_ends_the_start_and_is_named(tmp_path: Path, closed_port: int) -> None:
    url = f"redis://127.0.0.1:{closed_port}/0"
    stack = LocalStack(tmp_path, port=0, workers=0, environment={"REDIS_URL": url}, ready_within=4)
    with pytest.raises(StackError, match="broker"):
        stack.start()


def test_a_service_without_its_database_is_alive_and_names_it_as_missing(tmp_path: Path) -> None:
    with LocalStack(tmp_path, port=0, workers=0) as stack:
        postgres = stack.processes["postgres"]
        postgres.grace = 0.0
        postgres.stop()
        assert httpx.get(f"{stack.url}/healthz").status_code == 200
        ready = httpx.get(f"{stack.url}/readyz", timeout=30)
        assert ready.status_code == 503
        assert ready.json()["database"] != "ok"
        refused = httpx.post(f"{stack.url}/searches", json={"dataset": "digits"}, timeout=30)
        assert refused.status_code == 503
        assert "database" in refused.json()["detail"]
