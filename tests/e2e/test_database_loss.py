"""Without the database a request is 503 with a time to retry, and the same API recovers with it."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from client.local.postgres import Postgres
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.small_search import QUICK_SIGNS, SEARCH, until
from tests.support.unsupervised import unsupervised

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A database that only the test starts again."""
    with unsupervised(Postgres, tmp_path_factory.mktemp("database")) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def service(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    data = tmp_path_factory.mktemp("stack")
    with LocalStack(data, port=0, workers=1, environment={"DATABASE_URL": database.url, **QUICK_SIGNS}) as stack:
        yield stack


def _kill(database: Postgres) -> None:
    database.process.kill()
    database.process.wait()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/searches"), ("POST", "/searches"), ("GET", "/jobs"), ("GET", "/workers"), ("POST", "/worker/claim")],
)
def test_a_request_without_the_database_is_503_with_retry_after_and_works_again_with_it(
    database: Postgres, service: LocalStack, method: str, path: str
) -> None:
    api = service.processes["api"].pid
    headers = {"Authorization": f"Bearer {service.processes['api'].command.environment['DARTBOARD_WORKER_KEY']}"}
    body = {"worker": "test", "pool": "unserved", "threads": 1} if path == "/worker/claim" else {**SEARCH, "pool": "x"}
    with httpx.Client(base_url=service.url, timeout=30, headers=headers if "claim" in path else {}) as http:

        def ask() -> httpx.Response:
            return http.request(method, path, json=body if method == "POST" else None)

        _kill(database)
        refused = ask()
        database.start()
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert ask().is_success
    assert service.processes["api"].pid == api


def test_a_search_goes_on_when_the_database_was_away_for_longer_than_an_epoch(
    database: Postgres, service: LocalStack
) -> None:
    with Dartboard(service.url) as dartboard:
        undisturbed = dartboard.wait(dartboard.submit("search", {**SEARCH, "epochs": 3}))
        expected = dartboard.epochs(undisturbed.id)
        job = dartboard.submit("search", {**SEARCH, "epochs": 3})
        until(dartboard.follow(job), lambda e: e.kind == "step")
        _kill(database)
        threading.Event().wait(2 * max(e.seconds for e in expected))
        database.start()
        ended = dartboard.wait(job)
        assert (ended.status, ended.attempt) == ("succeeded", 1)
        assert [e.alphas for e in dartboard.epochs(job.id)] == [e.alphas for e in expected]
