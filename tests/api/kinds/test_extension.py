"""A seventh kind of job and a third family, of a file each: submitted, run by a worker and read."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

import api.kinds
import darts_core.families
from api.app import create_app
from api.kinds.search import SEARCH
from api.schemas.jobs import JobKind, JobOut
from api.settings import Settings
from client.errors import ProblemError
from client.sdk import Dartboard
from tests.support import census_runner
from tests.support.databases import database_at
from tests.support.line_family import LINE, LineSearchCreate
from tests.support.service import Service
from worker.api_client import WorkerApi
from worker.attempt import claim_and_run
from worker.settings import WorkerSettings


@pytest.fixture(scope="module")
def extended() -> Iterator[None]:
    """The new kind and the new family are known, for as long as this module's tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobKind, "_declared", dict(JobKind._declared))
        from tests.support.census_kind import KIND

        patch.setitem(sys.modules, f"worker.runners.{KIND.name}", census_runner)
        api.kinds.register(KIND)
        darts_core.families.register(LINE)
        SEARCH.requests["line"] = LineSearchCreate
        yield
        del api.kinds.KINDS[KIND.name], darts_core.families.FAMILIES["line"], SEARCH.requests["line"]


class Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Installation:
    """An API of its own, and a worker to claim its jobs."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self.url, self._key, self._folder = url, key, folder
        self.dartboard = Dartboard(url)

    def run(self, kind: str, body: dict[str, Any]) -> JobOut:
        job = self.dartboard.submit(kind, body)
        settings = WorkerSettings(
            url=self.url, worker_key=SecretStr(self._key), worker_state=self._folder, data_root=self._folder
        )
        with WorkerApi(self.url, self._key) as worker:
            assert claim_and_run(worker, settings, uuid4().hex)
        return self.dartboard.job(job.id)


@pytest.fixture(scope="module")
def installation(service: Service, extended: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("extended")
    settings = Settings(
        database_url=SecretStr(database_at(service, f"extended_{uuid4().hex[:12]}", "head")),
        redis_url=SecretStr(service.broker_url),
        artifacts=folder / "artifacts",
        worker_key=SecretStr(service.worker_key),
    )
    server = Server(uvicorn.Config(create_app(settings), port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(30)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Installation(f"http://127.0.0.1:{port}", service.worker_key, folder / "worker")
    finally:
        server.should_exit = True
        thread.join()


def test_a_seventh_kind_runs_from_its_request_to_its_result(installation: Installation) -> None:
    ended = installation.run("census", {"dataset": "digits", "part": "test"})
    assert ended.status == "succeeded"
    assert (ended.spec["part"], ended.spec["epochs"]) == ("test", 1)
    assert (ended.metrics, ended.result) == ({"images": 360.0}, {"images": 360})
    assert ended.objective is not None
    assert ended.objective.metric == "images"
    assert ended.actions == ["delete"]
    assert ended.links["self"] == f"/censuses/{ended.id}"
    installation.dartboard.delete(ended.id)


def test_a_seventh_kinds_requests_are_checked_and_listed(installation: Installation) -> None:
    with pytest.raises(ProblemError) as found:
        installation.dartboard.submit("census", {"dataset": "digits", "part": "all"})
    assert (found.value.status, "allowed: train, test" in str(found.value)) == (422, True)
    queued = installation.dartboard.submit("census", {"dataset": "digits"}, idempotency_key="once")
    assert installation.dartboard.submit("census", {"dataset": "digits"}, idempotency_key="once").id == queued.id
    assert queued.actions == ["cancel"]
    assert [job.id for job in installation.dartboard.jobs(kind="census")] == [queued.id]
    installation.dartboard.cancel(queued.id)


def test_a_seventh_kind_is_in_the_openapi_document_with_its_form(installation: Installation) -> None:
    document = httpx.get(f"{installation.url}/openapi.json", timeout=60).json()
    create = document["paths"]["/censuses"]["post"]
    assert (create["operationId"], create["description"].splitlines()[0]) == ("create_census", "Queue a census.")
    assert create["x-form"]["models"] == {"": "CensusCreate"}
    assert "census" in document["components"]["schemas"]["JobKind"]["enum"]


def test_a_third_familys_search_chooses_by_its_own_metric(installation: Installation) -> None:
    ended = installation.run("search", {"family": "line", "dataset": "digits", "epochs": 3})
    assert ended.status == "succeeded"
    assert ended.best == {"epoch": 1, "validation_error": 1.0}
    assert ended.objective is not None
    assert ended.objective.model_dump() == {"metric": "validation_error", "direction": "min"}
    epochs = installation.dartboard.epochs(ended.id)
    assert [epoch.genotype for epoch in epochs] == 3 * [{"family": "line", "line": "double"}]
    assert epochs[-1].alphas == {"line": [[0.25, 3.0]]}
    assert epochs[-1].strengths == {"line": [[0.0, 1.0]]}


def test_a_third_familys_search_is_refused_by_its_own_rules(installation: Installation) -> None:
    with pytest.raises(ProblemError, match="one GPU, not on 2"):
        installation.dartboard.submit("search", {"family": "line", "dataset": "digits", "gpus": 2})
    with pytest.raises(ProblemError, match="channels: unknown field"):
        installation.dartboard.submit("search", {"family": "line", "dataset": "digits", "channels": 4})


def test_the_kind_is_unknown_without_its_file(http: httpx.Client) -> None:
    assert http.post("/censuses", json={"dataset": "digits"}).status_code == 404
    assert http.get("/jobs?kind=census").status_code == 422
