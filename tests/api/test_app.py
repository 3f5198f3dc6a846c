import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from api.http.security import is_loopback
from client.local.stack import LocalStack


def test_importing_the_app_does_not_import_torch() -> None:
    code = "import api.app, sys; api.app.create_app(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_openapi_has_every_path_of_the_contract_and_problem_answers(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    for collection in ("searches", "evaluations"):
        for path in ("", "/{job_id}", *(f"/{{job_id}}/{p}" for p in ("cancel", "epochs", "events", "logs"))):
            assert f"/{collection}{path}" in document["paths"], path
    for path in ("/searches/{job_id}/genotype", "/evaluations/{job_id}/checkpoint", "/healthz", "/readyz"):
        assert path in document["paths"]
    create = document["paths"]["/searches"]["post"]["responses"]
    assert "application/problem+json" in create["422"]["content"]
    assert document["components"]["schemas"]["Problem"]["required"] == ["title", "status", "detail"]


def test_readyz_names_each_part(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    ready = http.get("/readyz")
    assert ready.json() == {"ready": True, "database": "ok", "broker": "ok", "migrations": "ok", "background": "ok"}


def test_an_unknown_path_and_a_wrong_method_are_problems(http: httpx.Client) -> None:
    assert http.get("/nothing").json()["status"] == 404
    wrong = http.put("/searches")
    assert wrong.status_code == 405
    assert wrong.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::2]", "localhost.evil.example:8000"])
def test_another_host_name_is_refused(http: httpx.Client, host: str) -> None:
    answer = http.get("/searches", headers={"Host": host})
    assert answer.status_code == 403
    assert "loopback" in answer.json()["detail"]


def test_a_web_page_elsewhere_cannot_post_through_the_browser(http: httpx.Client) -> None:
    body = {"dataset": "digits", "pool": "unserved"}
    foreign = http.post("/searches", json=body, headers={"Origin": "http://evil.example"})
    own = http.post("/searches", json=body, headers={"Origin": str(http.base_url).rstrip("/")})
    assert (foreign.status_code, own.status_code) == (403, 201)


def test_loopback_is_recognised() -> None:
    assert all(is_loopback(h) for h in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"))
    assert not any(is_loopback(h) for h in ("0.0.0.0", "10.0.0.1", "example.org", "", "localhost.example"))


def test_the_api_stays_under_160_mb_of_resident_memory(tmp_path: Path) -> None:
    """A service of its own: what other tests send to theirs leaves its marks in the process."""
    with LocalStack(tmp_path, port=0, workers=0) as stack:
        with httpx.Client(base_url=stack.url) as http:
            for _ in range(50):
                http.get("/searches")
        port = str(httpx.URL(stack.url).port)
        [process] = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-2:] == ["--port", port]]
        assert process.memory_info().rss < 160e6
