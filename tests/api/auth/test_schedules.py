"""The jobs of a schedule are its owner's, under the limits of the key that created it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.databases import plain
from tests.support.keys import Guarded, submitted
from tests.support.schedulers import passes

Act = Callable[[str], dict[str, Any]]


def added(http: httpx.Client, **fields: Any) -> str:
    """A schedule's id."""
    request = {"dataset": "digits", "pool": "unserved", **fields}
    answer = http.post("/schedules", json={"cron": "0 0 1 1 *", "kind": "search", "request": request})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def act(guarded: Guarded, tmp_path: Path) -> Act:
    """Lets a schedule act now; its run."""

    def act(schedule: str) -> dict[str, Any]:
        with psycopg.connect(plain(guarded.database_url)) as connection:
            connection.execute("update schedules set next_at = now() where id = %s", [schedule])
        asyncio.run(passes(1, guarded.database_url, "redis://127.0.0.1:1/0", tmp_path))
        with guarded.http(guarded.admin) as http:
            run: dict[str, Any] = http.get(f"/schedules/{schedule}/runs").json()["items"][0]
        return run

    return act


def test_a_job_belongs_to_the_schedules_owner(guarded: Guarded, act: Act) -> None:
    key = guarded.make("user")
    with guarded.http(key.key) as http:
        run = act(added(http))
        assert http.get(f"/jobs/{run['job']}").json()["owner"] == key.owner


def test_the_quota_of_the_key_holds(guarded: Guarded, act: Act) -> None:
    with guarded.http(guarded.make("user", queued_jobs=1).key) as http:
        schedule = added(http)
        submitted(http)
        run = act(schedule)
        assert (run["outcome"], run["job"]) == ("refused", None)
        assert "this key allows 1" in run["reason"]
        assert http.get(f"/schedules/{schedule}").json()["error"] == run["reason"]


def test_the_priority_of_the_key_holds(guarded: Guarded, act: Act) -> None:
    with guarded.http(guarded.make("user", priority=5).key) as http, guarded.http(guarded.admin) as admin:
        body = {"cron": "0 0 1 1 *", "kind": "search", "request": {"dataset": "digits", "priority": 6}}
        assert http.post("/schedules", json=body).status_code == 403
        schedule = added(http)
        urgent = {"request": {"dataset": "digits", "priority": 6, "pool": "unserved"}}
        assert admin.patch(f"/schedules/{schedule}", json=urgent).status_code == 200
        assert "this key may give at most 5" in act(schedule)["reason"]


def test_a_revoked_key_submits_nothing(guarded: Guarded, act: Act) -> None:
    key = guarded.make("user")
    with guarded.http(key.key) as http:
        schedule = added(http)
    with guarded.http(guarded.admin) as admin:
        assert admin.delete(f"/keys/{key.id}").status_code == 204
    run = act(schedule)
    assert (run["outcome"], "was revoked" in run["reason"]) == ("refused", True)


def test_another_user_reads_and_changes_nothing(guarded: Guarded) -> None:
    with guarded.http(guarded.make("user").key) as mine, guarded.http(guarded.make("user").key) as other:
        path = f"/schedules/{added(mine)}"
        assert other.get(path).status_code == 200
        assert [other.patch(path, json={"paused": True}).status_code, other.delete(path).status_code] == [403, 403]
        assert mine.delete(path).status_code == 204
