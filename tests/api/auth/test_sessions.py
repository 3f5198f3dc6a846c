"""A browser's session: a cookie in place of a key."""

from __future__ import annotations

from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.support.databases import plain
from tests.support.keys import Guarded, Person, read_to_its_end, submitted

COOKIE = "dartboard_session"


def logged_in(guarded: Guarded, role: str = "user", owner: str | None = None) -> httpx.Client:
    """A client that has nothing but the cookie."""
    with guarded.http(guarded.make(role, owner).key) as http:
        opened = http.post("/session")
    assert opened.status_code == 201, opened.text
    return guarded.http(cookies={COOKIE: opened.cookies[COOKIE]})


def test_the_cookie_is_hidden_from_scripts_and_other_sites(person: Person) -> None:
    cookie = person("viewer").post("/session").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie


def test_the_cookie_has_the_permissions_of_its_key(guarded: Guarded) -> None:
    with logged_in(guarded, "viewer", "eve") as http:
        assert http.get("/jobs").status_code == 200
        session = http.get("/session").json()
    assert (session["role"], session["owner"]) == ("viewer", "eve")
    assert session["expires_at"]


def test_an_event_stream_takes_the_cookie(guarded: Guarded, person: Person) -> None:
    ada = person("user")
    job = submitted(ada)
    ada.post(f"/searches/{job.id}/cancel")
    with logged_in(guarded, "viewer") as http:
        assert "event: end" in http.get(f"/searches/{job.id}/events").text


def test_a_change_by_cookie_has_to_come_from_the_services_own_page(guarded: Guarded) -> None:
    body = {"dataset": "digits", "pool": "unserved"}
    with logged_in(guarded) as http:
        own = http.post("/searches", json=body, headers={"Origin": guarded.url})
        foreign = http.post("/searches", json=body, headers={"Origin": "http://evil.example"})
        unknown = http.post("/searches", json=body)
    assert (own.status_code, foreign.status_code, unknown.status_code) == (201, 403, 403)


def test_a_key_in_a_header_needs_no_origin(person: Person) -> None:
    body = {"dataset": "digits", "pool": "unserved"}
    answer = person("user").post("/searches", json=body, headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 201


def test_logging_out_ends_the_session(guarded: Guarded) -> None:
    with logged_in(guarded) as http:
        kept = http.cookies[COOKIE]
        assert http.delete("/session", headers={"Origin": guarded.url}).status_code == 204
    with guarded.http(cookies={COOKIE: kept}) as http:
        assert http.get("/jobs").status_code == 401


def test_revoking_the_key_ends_its_sessions(guarded: Guarded, admin: httpx.Client) -> None:
    made = guarded.make("user")
    with guarded.http(made.key) as http:
        http.post("/session")
        del http.headers["Authorization"]
        assert http.get("/jobs").status_code == 200
        admin.delete(f"/keys/{made.id}")
        assert http.get("/jobs").status_code == 401


def test_logging_out_ends_the_sessions_streams(guarded: Guarded, person: Person) -> None:
    job = submitted(person("user"))
    with logged_in(guarded) as http, http.stream("GET", f"/searches/{job.id}/events") as stream:
        pieces = stream.iter_text()
        assert "queued" in next(pieces)
        assert http.delete("/session", headers={"Origin": guarded.url}).status_code == 204
        assert "event: end" not in read_to_its_end(pieces)


@pytest.mark.parametrize("path", ["/searches/{}/events", "/events?job={}", "/events?active=true"])
def test_a_stream_ends_when_its_session_runs_out(guarded: Guarded, person: Person, path: str) -> None:
    job, owner = submitted(person("user")), f"user-{uuid4().hex[:8]}"
    with logged_in(guarded, owner=owner) as http:
        with psycopg.connect(plain(guarded.database_url)) as connection:
            connection.execute(
                "update sessions set expires_at = now() + interval '3 seconds' from keys "
                "where keys.id = sessions.key_id and keys.owner = %s",
                (owner,),
            )
        with http.stream("GET", path.format(job.id)) as stream:
            assert stream.status_code == 200
            # On a busy machine the session may run out before the first event.
            assert "event: end" not in read_to_its_end(stream.iter_text())
        assert http.get(path.format(job.id)).status_code == 401


def test_a_session_that_has_run_out_is_refused(guarded: Guarded) -> None:
    made = guarded.make("user")
    with guarded.http(made.key) as http:
        http.post("/session")
        del http.headers["Authorization"]
        with psycopg.connect(plain(guarded.database_url)) as connection:
            connection.execute("update sessions set expires_at = now() where key_id = %s", (made.id,))
        refused = http.get("/jobs")
    assert refused.status_code == 401
    assert "log in" in refused.json()["detail"]


def test_a_session_does_not_renew_itself(guarded: Guarded) -> None:
    with logged_in(guarded) as http:
        assert http.post("/session", headers={"Origin": guarded.url}).status_code == 401


def test_only_the_cookies_hash_is_stored(guarded: Guarded) -> None:
    with logged_in(guarded) as http, psycopg.connect(plain(guarded.database_url)) as connection:
        stored = str(connection.execute("select to_jsonb(s)::text from sessions s").fetchall())
        assert http.cookies[COOKIE] not in stored


@pytest.mark.parametrize("value", ["", "nonsense", "a" * 3000])
def test_a_cookie_that_is_none_is_401(guarded: Guarded, value: str) -> None:
    with guarded.http(cookies={COOKIE: value}) as http:
        assert http.get("/jobs").status_code == 401


def test_workers_have_no_sessions(person: Person) -> None:
    assert person("worker").post("/session").status_code == 403


def test_without_keys_an_old_cookie_does_no_harm(http: httpx.Client) -> None:
    assert http.get("/jobs", headers={"Cookie": f"{COOKIE}=old"}).status_code == 200
    assert http.post("/session").status_code == 401
