"""The identity provider is down: keys and open sessions go on working, and a login says what is wrong."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.oidc_provider import providing
from tests.support.oidc_service import own, serving

pytestmark = pytest.mark.stack


def test_without_the_provider_keys_and_sessions_work_and_with_it_logins_again(tmp_path: Path) -> None:
    up = ExitStack()
    provider = up.enter_context(providing())
    with up, serving(tmp_path, provider) as oidc, oidc.browser() as early, oidc.browser() as late:
        assert oidc.log_in(early).status_code == 303
        answer = oidc.answer(late)
        up.close()
        failed = late.get(answer)
        assert failed.status_code == 503
        assert "cannot be reached" in failed.text
        assert "use a key" in failed.text
        assert early.get("/jobs").status_code == 200
        made = early.post("/keys", json={"role": "user"}, headers=own(oidc)).json()
        for key in (made["key"], oidc.guarded.admin):
            with oidc.guarded.http(key) as http:
                assert http.get("/jobs").status_code == 200
        with providing(httpx.URL(provider.issuer).port or 0) as back:
            # It has other keys now.
            url = httpx.URL(back.authorize(oidc.start(late)))
            assert late.get(f"{url.path}?{url.query.decode()}").status_code == 303


def test_a_service_that_starts_without_its_provider_says_so_at_the_login(tmp_path: Path) -> None:
    with providing() as provider:
        gone = provider
    with serving(tmp_path, gone) as oidc, oidc.browser() as browser:
        failed = browser.get("/session/login")
        assert failed.status_code == 503
        assert "the &lt;Lab&gt; cannot be reached" in failed.text
        assert browser.get("/readyz").status_code == 200
