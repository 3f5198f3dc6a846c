"""A service that requires keys, and keys of every role for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from client.local.stack import LocalStack
from tests.support.keys import Guarded, Person, made_on_the_server


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    data = tmp_path_factory.mktemp("guarded")
    environment = {
        "DARTBOARD_REQUIRE_KEYS": "true",
        "DARTBOARD_SWEEP_SECONDS": "0.5",
        "DARTBOARD_WEBHOOK_HOSTS": "127.0.0.1",
    }
    with LocalStack(data, port=0, workers=0, environment=environment) as stack:
        api = stack.processes["api"]
        assert api.log is not None
        told = api.command.environment
        made = made_on_the_server(told["DATABASE_URL"], "--role", "admin", "--owner", "root")
        assert made.returncode == 0, made.stderr
        yield Guarded(stack.url, made.stdout.strip(), told["DARTBOARD_WORKER_KEY"], told["DATABASE_URL"], api.log)


@pytest.fixture
def person(guarded: Guarded) -> Iterator[Person]:
    """A client with a new key of this role."""
    opened: list[httpx.Client] = []

    def new(role: str, owner: str | None = None, **limits: float) -> httpx.Client:
        opened.append(guarded.http(guarded.make(role, owner, **limits).key))
        return opened[-1]

    yield new
    for client in opened:
        client.close()


@pytest.fixture
def anonymous(guarded: Guarded) -> Iterator[httpx.Client]:
    with guarded.http() as http:
        yield http


@pytest.fixture
def admin(guarded: Guarded) -> Iterator[httpx.Client]:
    with guarded.http(guarded.admin) as http:
        yield http
