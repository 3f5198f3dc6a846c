"""People log in at an identity provider; attacks on the login are refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from joserfc import jwt

from api.auth.login_attempt import COOKIE as LOGIN
from api.auth.sessions import COOKIE
from api.schemas.keys import KeyCreated
from client.sdk import Dartboard
from tests.support.databases import plain
from tests.support.oidc_provider import CLIENT, SECRET, Account, new_key, providing
from tests.support.oidc_service import OidcService, own, serving

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcService]:
    with providing() as provider, serving(tmp_path_factory.mktemp("oidc"), provider) as service:
        yield service


@pytest.fixture
def oidc(running: OidcService) -> Iterator[OidcService]:
    """The service; the provider does as it should, for a new account of the lab."""
    provider = running.provider
    provider.account = Account(uuid4().hex, "Ada Lovelace", "Ada.L@example.org", ["lab", "others"])
    yield running
    provider.claims, provider.sign, provider.error = {}, None, None
    provider.userinfo, provider.codes_once = False, True


@pytest.fixture
def browser(oidc: OidcService) -> Iterator[httpx.Client]:
    with oidc.browser() as browser:
        yield browser


def refused(answer: httpx.Response, *words: str, status: int = 403) -> None:
    assert answer.status_code == status, answer.text
    assert COOKIE not in answer.cookies
    assert all(word in answer.text for word in words), answer.text


def test_a_login_opens_a_session_with_the_groups_role_and_an_owner_of_its_own(
    oidc: OidcService, browser: httpx.Client
) -> None:
    answer = oidc.log_in(browser, "#/jobs?status=failed")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/#/jobs?status=failed")
    session = browser.get("/session").json()
    assert (session["role"], session["person"]) == ("user", "Ada Lovelace")
    assert session["owner"].startswith("ada-l-")
    body = {"dataset": "digits", "pool": "unserved"}
    assert browser.post("/searches", json=body).status_code == 403  # from no page of the service
    job = browser.post("/searches", json=body, headers=own(oidc))
    assert job.json()["owner"] == session["owner"]


def test_cookies_are_hidden_from_scripts_and_the_login_is_forgotten(oidc: OidcService, browser: httpx.Client) -> None:
    started = browser.get("/session/login").headers["Set-Cookie"]
    assert "HttpOnly" in started
    assert "SameSite=lax" in started
    assert "Path=/session" in started
    kept = oidc.log_in(browser).headers.get_list("Set-Cookie")
    [session] = [cookie for cookie in kept if cookie.startswith(COOKIE)]
    assert "HttpOnly" in session
    assert "SameSite=strict" in session
    assert LOGIN not in browser.cookies


def test_a_renamed_person_keeps_the_owner_and_another_with_the_name_gets_another(oidc: OidcService) -> None:
    def owner() -> tuple[str, str]:
        with oidc.browser() as browser:
            oidc.log_in(browser)
            session = browser.get("/session").json()
        return session["owner"], session["person"]

    account = oidc.provider.account
    first = owner()
    oidc.provider.account = Account(account.subject, "Ada King", "king@example.org", ["lab"])
    assert owner() == (first[0], "Ada King")
    oidc.provider.account = Account(uuid4().hex, account.name, account.username, ["lab"])
    assert owner()[0] != first[0]


@pytest.mark.parametrize(
    ("groups", "role"), [(["guests"], "viewer"), (["guests", "lab-admins", "lab"], "admin"), ("lab", "user")]
)
def test_the_highest_role_of_the_groups_counts(
    oidc: OidcService, browser: httpx.Client, groups: Any, role: str
) -> None:
    oidc.provider.account.groups = groups
    oidc.log_in(browser)
    assert browser.get("/session").json()["role"] == role


def test_groups_may_come_from_userinfo(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.provider.userinfo = True
    oidc.log_in(browser)
    assert browser.get("/session").json()["role"] == "user"


def test_without_a_group_that_may_log_in_nobody_does(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.provider.account.groups = ["<b>cooks</b>"]
    refused(oidc.log_in(browser), "&lt;b&gt;cooks&lt;/b&gt;", "ask an admin")


def test_a_lost_group_counts_from_the_next_login_on_for_all_sessions(oidc: OidcService) -> None:
    with oidc.browser() as first, oidc.browser() as second:
        oidc.log_in(first)
        oidc.provider.account.groups = ["guests"]
        assert first.get("/session").json()["role"] == "user"
        oidc.log_in(second)
        assert [each.get("/session").json()["role"] for each in (first, second)] == ["viewer", "viewer"]


@pytest.mark.parametrize("place", ["https://evil.example", "//evil.example", "/\\evil.example", "#x", "#/a\r\nX: y"])
def test_a_login_leads_to_no_other_site(oidc: OidcService, browser: httpx.Client, place: str) -> None:
    assert oidc.log_in(browser, place).headers["Location"] == "/#/"


def test_another_browsers_answer_is_refused(oidc: OidcService, browser: httpx.Client) -> None:
    with oidc.browser() as attacker:
        theirs = oidc.answer(attacker)
        refused(browser.get(theirs), "sign in again", status=400)
        oidc.start(browser)
        refused(browser.get(theirs), "another login", status=400)


def test_a_wrong_state_is_refused(oidc: OidcService, browser: httpx.Client) -> None:
    answer = oidc.answer(browser)
    state = httpx.URL(answer).params["state"]
    refused(browser.get(answer.replace(state, "A" * len(state))), "another login", status=400)


def test_an_answer_counts_once(oidc: OidcService, browser: httpx.Client) -> None:
    answer = oidc.answer(browser)
    cookie = browser.cookies[LOGIN]
    assert browser.get(answer).status_code == 303
    refused(browser.get(answer), "no login", status=400)
    with oidc.browser() as thief:
        thief.cookies.set(LOGIN, cookie)
        refused(thief.get(answer), "invalid_grant")


def test_a_code_of_another_login_is_refused_also_by_a_provider_that_gives_its_token(
    oidc: OidcService, browser: httpx.Client
) -> None:
    """The attacker puts a stolen code into a login of their own: verifier and nonce do not match."""
    with oidc.browser() as victim:
        stolen = httpx.URL(oidc.answer(victim)).params["code"]
    answer = httpx.URL(oidc.answer(browser))
    refused(browser.get(str(answer.copy_set_param("code", stolen))), "invalid_grant")


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"nonce": "of-another-login"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": [CLIENT, "another-client"]}, "azp"),
        ({"aud": [CLIENT], "azp": "another-client"}, "azp"),
        ({"iss": "http://127.0.0.1:1"}, "iss"),
        ({"iss": None}, "iss"),
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"exp": None}, "exp"),
        ({"nbf": int(time.time()) + 3600}, "not"),
        ({"iat": int(time.time()) + 3600}, "not"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"at_hash": "of-another-token"}, "at_hash"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    oidc: OidcService, browser: httpx.Client, claims: dict[str, Any], named: str
) -> None:
    oidc.provider.claims = claims
    refused(oidc.log_in(browser), "its token is not valid", named)


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any], **header: str) -> str:
    return ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "none", **header}, claims))


def test_a_token_without_a_signature_is_refused(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.provider.sign = lambda claims: f"{unsigned(claims)}."
    refused(oidc.log_in(browser), "its token is not valid", "none")


@pytest.mark.parametrize("secret", ["public key", "client secret"])
def test_a_token_signed_with_what_others_know_is_refused(oidc: OidcService, browser: httpx.Client, secret: str) -> None:
    published = oidc.provider.keys[-1]
    key = published.as_pem(private=False) if secret == "public key" else SECRET.encode()

    def sign(claims: dict[str, Any]) -> str:
        text = unsigned(claims, alg="HS256", kid=str(published.kid))
        return f"{text}.{encoded(hmac.digest(key, text.encode(), 'sha256'))}"

    oidc.provider.sign = sign
    refused(oidc.log_in(browser), "its token is not valid", "HS256")


def test_a_token_of_a_strangers_key_is_refused(oidc: OidcService, browser: httpx.Client) -> None:
    stranger = new_key(oidc.provider.keys[-1].kid)
    oidc.provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": stranger.kid}, claims, stranger)
    refused(oidc.log_in(browser), "its token is not valid", "signature")


def test_a_key_inside_the_token_counts_nothing(oidc: OidcService, browser: httpx.Client) -> None:
    stranger = new_key(oidc.provider.keys[-1].kid)
    header = {"alg": "RS256", "jwk": stranger.as_dict(private=False), "kid": stranger.kid}
    oidc.provider.sign = lambda claims: ".".join(
        [
            encoded(json.dumps(header).encode()),
            *jwt.encode({"alg": "RS256", "kid": stranger.kid}, claims, stranger).split(".")[1:],
        ]
    )
    refused(oidc.log_in(browser), "its token is not valid")


def test_a_refusal_of_the_provider_is_shown(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.provider.error = "access_denied"
    refused(oidc.log_in(browser), "the &lt;Lab&gt;", "access_denied")


def test_an_answer_of_another_issuer_is_refused(oidc: OidcService, browser: httpx.Client) -> None:
    refused(browser.get(f"{oidc.answer(browser)}&iss=https://evil.example"), "not from", status=400)


def test_a_planted_session_is_not_the_one_that_the_login_opens(oidc: OidcService, browser: httpx.Client) -> None:
    with oidc.browser() as attacker:
        oidc.log_in(attacker)
        planted = attacker.cookies[COOKIE]
        browser.cookies.set(COOKIE, planted, domain="127.0.0.1")
        answer = oidc.log_in(browser)
        assert answer.cookies[COOKIE] != planted
        assert attacker.get("/session").status_code == 401


def test_a_new_key_of_the_provider_is_fetched_once(oidc: OidcService, browser: httpx.Client) -> None:
    provider = oidc.provider
    oidc.log_in(browser)
    before = provider.fetches("/keys")
    provider.keys.append(new_key())
    assert oidc.log_in(browser).status_code == 303
    assert provider.fetches("/keys") == before + 1
    unknown = new_key()
    provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": unknown.kid}, claims, unknown)
    for _ in range(3):
        refused(oidc.log_in(browser), "its token is not valid", "kid")
    assert provider.fetches("/keys") == before + 1


def test_an_owner_that_an_admin_has_given_a_key_is_not_taken_over(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    owner = browser.get("/session").json()["owner"]
    with psycopg.connect(plain(oidc.guarded.database_url)) as connection:
        # As if the key were there before the first login.
        connection.execute("delete from identities where owner = %s", (owner,))
    refused(oidc.log_in(browser), owner, "another owner", status=409)


def personal(oidc: OidcService, browser: httpx.Client, role: str = "user") -> KeyCreated:
    made = browser.post("/keys", json={"role": role}, headers=own(oidc))
    assert made.status_code == 201, made.text
    return KeyCreated.model_validate_json(made.content)


def test_a_person_makes_uses_lists_and_revokes_a_key_for_the_command(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    session = browser.get("/session").json()
    made = personal(oidc, browser)
    with Dartboard(oidc.guarded.url, made.key) as dartboard:
        job = dartboard.submit("search", {"dataset": "digits", "pool": "unserved"})
        assert job.owner == session["owner"]
        listed = list(dartboard.keys())
        assert {str(key.id) for key in listed} == {str(made.id), session["key_id"]}
        dartboard.revoke_key(made.id)
    with oidc.guarded.http(made.key) as http:
        assert http.get("/jobs").status_code == 401


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"role": "admin"}, "your role is user"),
        ({"role": "worker"}, "your role is user"),
        ({"role": "user", "owner": "root"}, "a key of root"),
        ({"role": "user", "limits": {"priority": 9}}, "limits"),
    ],
)
def test_a_person_makes_no_key_above_their_role_or_of_another(
    oidc: OidcService, browser: httpx.Client, body: dict[str, Any], why: str
) -> None:
    oidc.log_in(browser)
    answer = browser.post("/keys", json=body, headers=own(oidc))
    assert answer.status_code == 403
    assert why in answer.json()["detail"]


def test_a_key_makes_no_other_key(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    with oidc.guarded.http(personal(oidc, browser).key) as http:
        assert http.post("/keys", json={"role": "viewer"}).status_code == 403
        http.post("/session")
        del http.headers["Authorization"]
        assert http.post("/keys", json={"role": "viewer"}, headers=own(oidc)).status_code == 403


def test_keys_of_others_are_neither_shown_nor_revoked(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    other = oidc.guarded.make("user")
    assert browser.get(f"/keys/{other.id}").status_code == 403
    assert browser.delete(f"/keys/{other.id}", headers=own(oidc)).status_code == 403
    assert str(other.id) not in browser.get("/keys").text


def test_a_person_has_twenty_keys_at_most(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    first, *_ = [personal(oidc, browser) for _ in range(20)]
    full = browser.post("/keys", json={"role": "user"}, headers=own(oidc))
    assert full.status_code == 409
    browser.delete(f"/keys/{first.id}", headers=own(oidc))
    personal(oidc, browser)


def test_a_key_has_at_most_the_role_of_the_latest_login(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.provider.account.groups = ["lab-admins"]
    oidc.log_in(browser)
    made = personal(oidc, browser, "admin")
    oidc.provider.account.groups = ["guests"]
    oidc.log_in(browser)
    with oidc.guarded.http(made.key) as http:
        assert http.get("/session").json()["role"] == "viewer"
        assert http.post("/searches", json={"dataset": "digits"}).status_code == 403
        assert http.post("/session").json()["role"] == "viewer"


def test_a_key_rests_when_its_person_has_not_logged_in_for_long(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    made = personal(oidc, browser)
    with psycopg.connect(plain(oidc.guarded.database_url)) as connection:
        connection.execute(
            "update identities set logged_in_at = now() - interval '31 days' where owner = %s", (made.owner,)
        )
    with oidc.guarded.http(made.key) as http:
        answer = http.get("/jobs")
        assert answer.status_code == 401
        assert "has not signed in for 30 days" in answer.json()["detail"]
        oidc.log_in(browser)
        assert http.get("/jobs").status_code == 200


@pytest.mark.parametrize(
    ("groups", "days", "why"), [(["guests"], 0, "is a viewer"), (["lab"], 31, "has not signed in")]
)
def test_a_schedule_submits_no_job_for_a_person_who_may_not(
    oidc: OidcService, browser: httpx.Client, groups: list[str], days: int, why: str
) -> None:
    oidc.log_in(browser)
    owner = browser.get("/session").json()["owner"]
    body = {"kind": "search", "request": {"dataset": "digits", "pool": "unserved"}, "cron": "0 0 1 1 *"}
    made = browser.post("/schedules", json=body, headers=own(oidc))
    assert made.status_code == 201, made.text
    oidc.provider.account.groups = groups
    oidc.log_in(browser)
    with psycopg.connect(plain(oidc.guarded.database_url)) as connection:
        connection.execute(
            "update identities set logged_in_at = now() - %s * interval '1 day' where owner = %s", (days, owner)
        )
        connection.execute("update schedules set next_at = now() where id = %s", (made.json()["id"],))
    with oidc.guarded.http(oidc.guarded.admin) as admin:
        deadline = time.monotonic() + 30
        while not (runs := admin.get(f"/schedules/{made.json()['id']}/runs").json()["items"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert (runs[0]["outcome"], runs[0]["job"]) == ("refused", None)
    assert why in runs[0]["reason"]


def test_an_admin_ends_a_persons_sessions_and_keys_at_once(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    made, session = personal(oidc, browser), browser.get("/session").json()
    with oidc.guarded.http(oidc.guarded.admin) as admin, oidc.guarded.http(made.key) as http:
        assert admin.get(f"/keys/{session['key_id']}").json()["person"] == "Ada Lovelace"
        assert admin.delete(f"/keys/{session['key_id']}").status_code == 204
        assert http.get("/jobs").status_code == 401
    assert browser.get("/jobs").status_code == 401
    oidc.log_in(browser)
    assert browser.get("/session").json()["owner"] == session["owner"]


def test_the_key_of_logins_can_be_used_by_nobody(oidc: OidcService, browser: httpx.Client) -> None:
    oidc.log_in(browser)
    key_id = browser.get("/session").json()["key_id"]
    with psycopg.connect(plain(oidc.guarded.database_url)) as connection:
        row = connection.execute("select lookup, secret_hash from keys where id = %s", (key_id,)).fetchone()
    assert row is not None
    with oidc.guarded.http(f"dartboard_{row[0]}_{row[1][:43]}") as http:
        assert http.get("/jobs").status_code == 401


def test_logging_out_ends_the_session_and_leads_to_the_providers_logout(
    oidc: OidcService, browser: httpx.Client
) -> None:
    oidc.log_in(browser)
    assert browser.delete("/session", headers=own(oidc)).status_code == 204
    assert browser.get("/session").status_code == 401
    url = httpx.URL(browser.get("/session/logout").headers["Location"])
    assert str(url).startswith(f"{oidc.provider.issuer}/logout?")
    assert dict(url.params) == {"client_id": CLIENT, "post_logout_redirect_uri": f"{oidc.guarded.url}/"}


def test_the_log_holds_neither_secrets_nor_codes_nor_states(oidc: OidcService, browser: httpx.Client) -> None:
    answer = oidc.answer(browser)
    cookie = browser.cookies[LOGIN]
    browser.get(answer)
    log = oidc.guarded.log.read_text()
    assert "/session/callback" in log
    params = httpx.URL(answer).params
    for secret in (SECRET, params["code"], params["state"], cookie, browser.cookies[COOKIE], "an-access-token"):
        assert secret not in log
