"""Keys are created, used, refused and revoked."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from api.auth.hashing import lookup_of, new_secret, same
from api.schemas.worker import Claim
from client.sdk import Dartboard
from tests.support.databases import plain
from tests.support.keys import Guarded, Person, made_on_the_server, read_to_its_end, submitted
from tests.support.service import Service
from worker.api_client import RefusedError, WorkerApi


def test_a_key_is_stored_as_a_hash_only(guarded: Guarded) -> None:
    made = guarded.make("user")
    with psycopg.connect(plain(guarded.database_url)) as connection:
        [row] = connection.execute("select to_jsonb(k)::text from keys k where id = %s", (made.id,)).fetchall()
    assert hashlib.sha256(made.key.encode()).hexdigest() in row[0]
    assert made.key not in row[0]
    assert made.key.split("_", 2)[2] not in row[0]


def test_a_key_is_shown_once(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("user")
    for answer in (admin.get("/keys"), admin.get(f"/keys/{made.id}")):
        assert made.key not in answer.text
        assert str(made.id) in answer.text


def test_a_key_has_256_random_bits_and_is_compared_as_a_whole() -> None:
    first, second = new_secret(), new_secret()
    assert len(first.text.split("_", 2)[2]) == 43
    assert lookup_of(first.text) == first.lookup != second.lookup
    assert same(first.hash, first.text)
    forged = first.text[:-1] + ("A" if first.text[-1] != "A" else "B")
    assert not same(first.hash, forged)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_both_headers_take_a_key(guarded: Guarded, anonymous: httpx.Client, header: str) -> None:
    key = guarded.make("viewer").key
    value = f"Bearer {key}" if header == "Authorization" else key
    assert anonymous.get("/jobs", headers={header: value}).status_code == 200


def test_without_a_key_nothing_but_probes_and_documents_is_served(anonymous: httpx.Client) -> None:
    refused = anonymous.get("/jobs")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.headers["Content-Type"] == "application/problem+json"
    for path in ("/healthz", "/readyz", "/version", "/openapi.json", "/docs"):
        assert anonymous.get(path).status_code == 200, path


@pytest.mark.parametrize("given", ["nonsense", "dartboard_0123456789abcdef_" + "A" * 43, "dartboard_\xff", "x" * 5000])
def test_an_unknown_key_is_401(anonymous: httpx.Client, given: str) -> None:
    headers = {b"Authorization": b"Bearer " + given.encode("latin-1")}
    assert anonymous.get("/jobs", headers=headers).status_code == 401


def test_another_scheme_than_bearer_is_no_key(guarded: Guarded, anonymous: httpx.Client) -> None:
    assert anonymous.get("/jobs", headers={"Authorization": f"Basic {guarded.admin}"}).status_code == 401


def test_a_key_with_one_letter_changed_is_401(guarded: Guarded) -> None:
    key = guarded.make("viewer").key
    with guarded.http(key[:-1] + ("A" if key[-1] != "A" else "B")) as http:
        assert http.get("/jobs").status_code == 401


def test_a_refusal_comes_before_the_body_is_looked_at(anonymous: httpx.Client) -> None:
    broken = anonymous.post("/searches", content=b"{", headers={"Content-Type": "application/json"})
    large = anonymous.post("/searches", content=b" " * (5 * 2**20))
    assert (broken.status_code, large.status_code) == (401, 401)


def test_a_revoked_key_is_refused_at_once(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("user")
    with guarded.http(made.key) as http:
        assert http.get("/jobs").status_code == 200
        assert admin.delete(f"/keys/{made.id}").status_code == 204
        refused = http.get("/jobs")
    assert refused.status_code == 401
    assert "revoked" in refused.json()["detail"]
    assert admin.get(f"/keys/{made.id}").json()["revoked_at"]
    assert admin.delete(f"/keys/{made.id}").status_code == 204


def test_a_revoked_keys_event_streams_end(guarded: Guarded, admin: httpx.Client, person: Person) -> None:
    job, made, other = submitted(person("user")), guarded.make("viewer"), person("viewer")
    path = f"/searches/{job.id}/events"
    with guarded.http(made.key) as http, http.stream("GET", path) as stream, other.stream("GET", path) as kept:
        pieces, others = stream.iter_text(), kept.iter_text()
        assert "queued" in next(pieces) and "queued" in next(others)  # noqa: PT018 - both are open
        admin.delete(f"/keys/{made.id}")
        assert "event: end" not in read_to_its_end(pieces)
        assert http.get(path).status_code == 401
        admin.post(f"/searches/{job.id}/cancel")
        assert "event: end" in read_to_its_end(others)


def test_a_stream_that_ends_with_its_key_is_no_fault_to_the_server(
    guarded: Guarded, admin: httpx.Client, person: Person
) -> None:
    job = submitted(person("user"))
    for path in (f"/searches/{job.id}/events", f"/events?job={job.id}", "/events?active=true"):
        made = guarded.make("viewer")
        with guarded.http(made.key) as http, http.stream("GET", path) as stream:
            pieces = stream.iter_text()
            next(pieces)
            admin.delete(f"/keys/{made.id}")
            read_to_its_end(pieces)
    assert "ASGI" not in guarded.log.read_text()


def test_revoking_a_key_that_is_not_there_is_404(admin: httpx.Client) -> None:
    assert admin.delete(f"/keys/{uuid4()}").status_code == 404
    assert admin.get(f"/keys/{uuid4()}").status_code == 404


@pytest.mark.parametrize(
    "change",
    [{"role": "king"}, {"owner": "a/b"}, {"owner": ""}, {"limits": {"queued_jobs": -1}}, {"colour": "red"}],
)
def test_a_bad_wish_for_a_key_is_422_and_names_the_field(admin: httpx.Client, change: dict[str, Any]) -> None:
    answer = admin.post("/keys", json={"role": "user", "owner": "ada", **change})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][1] in change


def test_a_viewers_403_names_the_role_that_is_needed(person: Person) -> None:
    refused = person("viewer").post("/searches", json={"dataset": "digits"})
    assert refused.status_code == 403
    assert "user" in refused.json()["detail"]


def test_a_key_notes_when_it_was_last_used(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("viewer")
    assert made.last_used_at is None
    with guarded.http(made.key) as http:
        http.get("/jobs")
    assert admin.get(f"/keys/{made.id}").json()["last_used_at"]


def test_keys_are_listed_in_pages(guarded: Guarded, admin: httpx.Client) -> None:
    made = [str(guarded.make("viewer").id) for _ in range(3)]
    first = admin.get("/keys", params={"limit": 2}).json()
    second = admin.get("/keys", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [k["id"] for k in first["items"] + second["items"]] == made[::-1]


def test_a_stored_worker_key_does_a_workers_work(guarded: Guarded, person: Person) -> None:
    pool = f"test-{uuid4().hex[:12]}"
    job = submitted(person("user"), pool=pool)
    with WorkerApi(guarded.url, guarded.make("worker").key) as api:
        claimed = api.claim(Claim(worker="w", pools=[pool], threads=1))
    assert claimed is not None
    assert claimed.job_id == job.id


def test_the_shared_worker_key_does_a_workers_work_and_nothing_else(guarded: Guarded) -> None:
    with WorkerApi(guarded.url, guarded.worker_key) as api:
        assert api.claim(Claim(worker="w", pools=["unserved-else"], threads=1)) is None
    with guarded.http(guarded.worker_key) as http:
        assert http.get("/jobs").status_code == 403
        assert http.post("/searches", json={"dataset": "digits"}).status_code == 403


def test_a_revoked_worker_key_stops_its_worker(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("worker")
    admin.delete(f"/keys/{made.id}")
    with WorkerApi(guarded.url, made.key) as api, pytest.raises(RefusedError, match="401"):
        api.claim(Claim(worker="w", pools=["unserved"], threads=1))


def test_the_first_key_is_made_beside_the_service(guarded: Guarded) -> None:
    made = made_on_the_server(guarded.database_url, "--role", "viewer", "--owner", "ada")
    assert (made.returncode, made.stderr) == (0, "")
    with guarded.http(made.stdout.strip()) as http:
        session = http.get("/session").json()
    assert (session["role"], session["owner"], session["keys_required"]) == ("viewer", "ada", True)


def test_a_first_key_without_a_database_is_refused_with_a_hint() -> None:
    made = made_on_the_server("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    assert made.returncode == 1
    assert "DATABASE_URL" in made.stderr
    assert "secret" not in made.stderr


def test_the_command_makes_lists_and_revokes_keys(guarded: Guarded) -> None:
    def dartboard(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "client.cli", "keys", *arguments, "--url", guarded.url, "--key", guarded.admin]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    owner = f"ada-{uuid4().hex[:8]}"
    made = dartboard("create", "--role", "user", "--owner", owner)
    key = made.stdout.strip()
    with Dartboard(guarded.url, key) as sdk:
        assert list(sdk.jobs(label="nothing")) == []
    listed = json.loads(dartboard("list", "--json").stdout)
    [mine] = [k for k in listed if k["owner"] == owner]
    assert key not in json.dumps(listed)
    assert dartboard("revoke", mine["id"]).returncode == 0
    with guarded.http(key) as http:
        assert http.get("/jobs").status_code == 401


def test_log_lines_name_the_keys_id_and_never_the_key(guarded: Guarded) -> None:
    made = guarded.make("viewer")
    with guarded.http(made.key) as http:
        http.post("/searches", json={"dataset": "digits"})
    lines = [json.loads(line) for line in guarded.log.read_text().splitlines() if str(made.id) in line]
    assert ("refused", 403, made.owner) in [(x["event"], x["status"], x["owner"]) for x in lines]
    assert made.key.split("_", 2)[2] not in guarded.log.read_text()


def test_without_keys_loopback_is_served_as_an_admin(http: httpx.Client) -> None:
    session = http.get("/session").json()
    assert (session["role"], session["owner"], session["keys_required"]) == ("admin", None, False)
    assert http.get("/keys").status_code == 200


def test_a_key_that_is_sent_counts_on_loopback_too(service: Service, http: httpx.Client) -> None:
    made = http.post("/keys", json={"role": "viewer", "owner": "ada"}).json()
    viewer = {"Authorization": f"Bearer {made['key']}"}
    assert http.post("/searches", json={"dataset": "digits"}, headers=viewer).status_code == 403
    unknown = http.get("/searches", headers={"Authorization": "Bearer nonsense"})
    assert unknown.status_code == 401
    assert "leave it out" in unknown.json()["detail"]


def test_workers_need_their_key_on_loopback_too(http: httpx.Client) -> None:
    refused = http.post("/worker/claim", json={"worker": "w", "pool": "unserved", "threads": 1})
    assert refused.status_code == 401
