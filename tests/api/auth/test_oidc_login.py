"""A browser logs in at an identity provider, makes a key and logs out."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go, launched, opened
from tests.support.oidc_provider import providing
from tests.support.oidc_service import serving

pytestmark = [pytest.mark.browser, pytest.mark.stack]


def title(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def test_a_person_signs_in_makes_a_key_and_logs_out(tmp_path: Path) -> None:
    with (
        providing() as provider,
        serving(tmp_path, provider) as oidc,
        launched() as browser,
        opened(browser, oidc.guarded.url) as page,
    ):
        go(page, "workers")
        title(page, "Log in")
        check_everywhere(page)
        page.get_by_role("link", name="Sign in with the <Lab>").click()
        title(page, "Provider")
        page.get_by_role("link", name="Continue").click()
        title(page, "Workers")
        expect(page.locator("#session")).to_contain_text("Ada Lovelace (user)")
        assert "dartboard_" not in page.evaluate("document.cookie")

        page.get_by_role("link", name="Keys").click()
        title(page, "Keys")
        page.get_by_role("button", name="Create key").click()
        key = page.get_by_role("status").locator("code").inner_text()
        check_everywhere(page)
        with Dartboard(oidc.guarded.url, key) as dartboard:
            assert list(dartboard.jobs()) == []
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("button", name="Revoke")).to_have_count(0)

        page.get_by_role("button", name="Log out").click()
        title(page, "Logged out")
        page.get_by_role("link", name="Back").click()
        title(page, "Log in")

        provider.error = "access_denied"
        page.get_by_role("link", name="Sign in").click()
        page.get_by_role("link", name="Continue").click()
        title(page, "Not logged in")
        expect(page.get_by_role("alert")).to_contain_text("access_denied")
        check_everywhere(page)
        page.get_by_role("link", name="Back").click()
        title(page, "Log in")
        # The browser itself says which answers were refusals.
        page.troubles.clear()  # type: ignore[attr-defined]
