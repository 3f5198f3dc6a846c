"""The audit log names each change and the key that made it."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from api.auth.retention import AuditRetention
from api.db.engine import Database
from tests.support.databases import plain
from tests.support.keys import Guarded, Person, submitted


def test_a_change_is_noted_with_its_key_its_job_and_its_answer(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("user")
    with guarded.http(made.key) as http:
        job = submitted(http)
        http.post(f"/searches/{job.id}/resume")
        http.get(f"/searches/{job.id}")
    resumed, created = admin.get("/audit", params={"key": str(made.id)}).json()["items"]
    assert (created["method"], created["path"], created["status"]) == ("POST", "/searches", 201)
    assert (resumed["path"], resumed["status"]) == (f"/searches/{job.id}/resume", 409)
    for entry in (resumed, created):
        assert (entry["job_id"], entry["owner"], entry["role"]) == (str(job.id), made.owner, "user")


def test_a_refused_change_is_noted(guarded: Guarded, admin: httpx.Client, person: Person) -> None:
    job = submitted(person("user"))
    made = guarded.make("user")
    with guarded.http(made.key) as http:
        http.post(f"/searches/{job.id}/cancel")
    [entry] = admin.get("/audit", params={"key": str(made.id)}).json()["items"]
    assert (entry["status"], entry["job_id"]) == (403, str(job.id))


def test_who_is_not_known_fills_no_log(anonymous: httpx.Client, admin: httpx.Client) -> None:
    path = f"/searches/{uuid4()}/cancel"
    assert anonymous.post(path).status_code == 401
    assert path not in admin.get("/audit", params={"limit": 200}).text


def test_the_log_is_found_by_job_and_owner_and_comes_in_pages(person: Person, admin: httpx.Client) -> None:
    owner = f"ada-{uuid4().hex[:8]}"
    ada = person("user", owner)
    job = submitted(ada)
    for action in ("pause", "resume", "cancel"):
        ada.post(f"/searches/{job.id}/{action}")
    by_owner = admin.get("/audit", params={"owner": owner}).json()["items"]
    first = admin.get("/audit", params={"job": str(job.id), "limit": 3}).json()
    rest = admin.get("/audit", params={"job": str(job.id), "cursor": first["next_cursor"]}).json()
    assert first["items"] + rest["items"] == by_owner
    assert [e["path"].rpartition("/")[2] for e in by_owner] == ["cancel", "resume", "pause", "searches"]
    assert rest["next_cursor"] is None


def test_without_keys_changes_are_noted_too(http: httpx.Client) -> None:
    job = submitted(http)
    [entry] = http.get("/audit", params={"job": str(job.id)}).json()["items"]
    assert (entry["key_id"], entry["owner"], entry["status"]) == (None, None, 201)


def test_an_odd_path_is_noted_as_it_was_sent(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("user")
    with guarded.http(made.key) as http:
        http.delete("/datasets/%00%ff")
    [entry] = admin.get("/audit", params={"key": str(made.id)}).json()["items"]
    assert entry["path"] == "/datasets/%00%ff"
    assert entry["status"] in (404, 422)


def _written(guarded: Guarded, days_ago: float, count: int, owner: str) -> None:
    milliseconds = int((time.time() - days_ago * 86_400) * 1000)
    with psycopg.connect(plain(guarded.database_url)) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into audit (id, method, path, status, owner, role) values (%s, 'POST', '/x', 201, %s, 'user')",
            [(UUID(int=(milliseconds << 80) + uuid4().int % 2**80), owner) for _ in range(count)],
        )


@pytest.mark.parametrize(("days", "left"), [(30, 2), (0, 1503)])
def test_entries_older_than_the_days_that_are_kept_go_however_many(
    guarded: Guarded, admin: httpx.Client, days: int, left: int
) -> None:
    owner = f"owner-{uuid4().hex[:8]}"
    _written(guarded, 31, 1501, owner)
    _written(guarded, 29, 2, owner)

    async def swept() -> int:
        database = Database(guarded.database_url)
        try:
            return await AuditRetention(database, days).sweep()
        finally:
            await database.close()

    deleted = asyncio.run(swept())
    with psycopg.connect(plain(guarded.database_url)) as connection:
        row = connection.execute("select count(*) from audit where owner = %s", (owner,)).fetchone()
    assert row == (left,)
    assert (deleted >= 1501) is (days > 0)
