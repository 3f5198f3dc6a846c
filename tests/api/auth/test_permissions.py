"""Every route and method is called with every role. The routes come from OpenAPI, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.checkpoint_files import ours
from tests.support.keys import Guarded, submitted

PUBLIC = {"/healthz", "/readyz", "/version"}
CALLERS = ("anonymous", "revoked", "viewer", "another user", "worker", "owner", "admin")


def expected(method: str, path: str, caller: str) -> int | None:
    """How a caller is turned away; None for one who is let in."""
    if path in PUBLIC:
        return None
    if caller in ("anonymous", "revoked"):
        return 401
    if path.startswith("/worker/"):
        return None if caller == "worker" else 403
    if caller == "worker":
        return 403
    if path == "/audit" or (path.startswith("/keys") and (method, path) != ("GET", "/keys")):
        # Keys of an admin's making; tests/api/auth/test_oidc.py has those that people make themselves.
        return None if caller == "admin" else 403
    if method in ("GET", "HEAD") or path == "/session":
        return None
    if caller == "viewer":
        return 403
    if path.startswith("/budgets"):
        return None if caller == "admin" else 403
    return 403 if caller == "another user" and "{" in path else None


@pytest.fixture
def callers(guarded: Guarded) -> dict[str, dict[str, str]]:
    """The headers that each caller sends."""
    revoked = guarded.make("admin")
    with guarded.http(guarded.admin) as http:
        assert http.delete(f"/keys/{revoked.id}").status_code == 204
    keys = {
        "revoked": revoked.key,
        "viewer": guarded.make("viewer").key,
        "another user": guarded.make("user").key,
        "worker": guarded.make("worker").key,
        "owner": guarded.make("user").key,
        "admin": guarded.admin,
    }
    return {"anonymous": {}, **{caller: {"Authorization": f"Bearer {key}"} for caller, key in keys.items()}}


class Things:
    """Makes what a path's parameters stand for, new for each route: one call may end what the next one needs."""

    def __init__(self, guarded: Guarded, owner: dict[str, str], worker: dict[str, str]) -> None:
        self._http = httpx.Client(base_url=guarded.url, headers=owner, timeout=20)
        self._worker = httpx.Client(base_url=guarded.url, headers=worker, timeout=20)
        self._admin = guarded.http(guarded.admin)

    def path(self, template: str) -> tuple[str, dict[str, str]]:
        """The path with real names in it, and the headers that go with them."""
        _, collection, *_ = template.split("/")
        if collection == "worker":
            return self._of_attempt(template)
        make: dict[str, Callable[[], str]] = {
            "searches": self._search,
            "jobs": self._search,
            "evaluations": self._evaluation,
            "scores": self._score,
            "ensembles": self._ensemble,
            "studies": self._study,
            "committees": self._committee,
            "checkpoints": self._checkpoint,
            "datasets": self._dataset,
            "genotypes": self._genotype,
            "predictions": self._prediction,
            "schedules": self._schedule,
            "webhooks": self._webhook,
            "budgets": self._budget,
            "models": self._model,
            "lineage": self._search,
            "keys": self._key,
        }
        if "{" not in template:
            return template, {}
        before, _, after = template.partition("{")
        return f"{before}{make[collection]()}{after.partition('}')[2]}", {}

    def _budget(self) -> str:
        self._admin.put("/budgets/ada", json={"gpu_hours": 1}).raise_for_status()
        return "ada"

    def _search(self) -> str:
        return str(submitted(self._http).id)

    def _model(self) -> str:
        name = f"model-{uuid4().hex[:8]}"
        self._made("/models", {"name": name, "checkpoint_id": self._checkpoint()})
        return name

    def _evaluation(self) -> str:
        return self._made("/evaluations", {"genotype": "DARTS_V2", "dataset": "digits", "pool": "unserved"})

    def _score(self) -> str:
        return self._made("/scores", {"checkpoint_id": self._checkpoint(), "pool": "unserved"})

    def _study(self) -> str:
        body = {"search": {"dataset": "digits"}, "seeds": [0], "pool": "unserved"}
        return self._made("/studies", body)

    def _ensemble(self) -> str:
        members = [{"checkpoint_id": self._checkpoint()}, {"checkpoint_id": self._checkpoint()}]
        return self._made("/ensembles", {"members": members, "pool": "unserved"})

    def _committee(self) -> str:
        return self._made("/committees", {"search": {"dataset": "digits"}, "pool": "unserved"})

    def _prediction(self) -> str:
        return self._made("/predictions", {"model": self._model(), "image": "eA==", "pool": "unserved"})

    def _schedule(self) -> str:
        request = {"dataset": "digits", "pool": "unserved"}
        return self._made("/schedules", {"cron": "0 0 1 1 *", "kind": "search", "request": request})

    def _checkpoint(self) -> str:
        answer = self._http.post("/checkpoints", files={"file": ("my.pt", ours())})
        return str(answer.json()["id"])

    def _dataset(self) -> str:
        name = f"set-{uuid4().hex[:8]}"
        # No tar inside: the check refuses it later, the name is there until then and afterwards.
        answer = self._http.post("/datasets", data={"name": name}, files={"file": ("a.tar.gz", b"\x1f\x8b" * 300)})
        assert answer.status_code == 201, answer.text
        return name

    def _genotype(self) -> str:
        name = f"cell-{uuid4().hex[:8]}"
        text = self._http.get("/genotypes/DARTS_V2?format=python").text
        answer = self._http.post("/genotypes", json={"name": name, "genotype": text})
        assert answer.status_code == 201, answer.text
        return name

    def _webhook(self) -> str:
        return self._made("/webhooks", {"url": "http://127.0.0.1:9/"})

    def _key(self) -> str:
        return self._made("/keys", {"role": "viewer", "owner": "somebody"}, self._admin)

    def _of_attempt(self, template: str) -> tuple[str, dict[str, str]]:
        if "{attempt_id}" not in template:
            return template.replace("{checksum}", "a" * 64), {}
        pool = f"test-{uuid4().hex[:12]}"
        submitted(self._http, pool=pool)
        claimed = self._worker.post("/worker/claim", json={"worker": "w", "pool": pool, "threads": 1}).json()
        path = template.replace("{attempt_id}", claimed["attempt_id"]).replace("{name}", "epoch-1.pt")
        return path, {"X-Attempt-Token": claimed["token"]}

    def _made(self, path: str, body: dict[str, Any], http: httpx.Client | None = None) -> str:
        answer = (http or self._http).post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def answers(guarded: Guarded, callers: dict[str, dict[str, str]]) -> list[tuple[str, str, dict[str, int]]]:
    """Each route's method and path with the status that each caller got."""
    things, table = Things(guarded, callers["owner"], callers["worker"]), []
    with guarded.http() as http:
        for template, operations in http.get("/openapi.json").json()["paths"].items():
            for method in operations:
                path, headers = things.path(template)
                row = {}
                for caller in CALLERS:
                    http.cookies.clear()
                    # Not read: an event stream does not end.
                    with http.stream(method, path, headers={**headers, **callers[caller]}) as answer:
                        row[caller] = answer.status_code
                table.append((method.upper(), template, row))
    return table


def test_every_route_answers_every_caller_as_the_roles_say(
    guarded: Guarded, callers: dict[str, dict[str, str]]
) -> None:
    table = answers(guarded, callers)
    assert len(table) > 70
    wrong = []
    for method, path, row in table:
        print(f"{method:6} {path:48}", *(f"{caller}: {status}" for caller, status in row.items()))
        for caller, status in row.items():
            refusal = expected(method, path, caller)
            if status != refusal if refusal else status in (401, 403) or status >= 500:
                wrong.append(f"{method} {path} by {caller}: {status}, expected {refusal or 'to be let in'}")
    assert not wrong, "\n".join(wrong)


def test_the_document_names_the_keys_and_the_refusals_of_every_route_that_wants_one(anonymous: httpx.Client) -> None:
    document = anonymous.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header", "session"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in PUBLIC:
                assert operation["security"] == []
            else:
                assert operation["security"], (method, path)
                assert {} not in operation["security"]
                assert {"401", "403"} <= operation["responses"].keys(), (method, path)
