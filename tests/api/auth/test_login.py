"""The dashboard of a service that requires keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import check_everywhere, go, launched, opened
from tests.support.keys import Guarded

pytestmark = pytest.mark.browser


@pytest.fixture
def page(guarded: Guarded) -> Iterator[Page]:
    with launched() as browser, opened(browser, guarded.url) as page:
        yield page


def test_a_key_opens_the_page_that_was_asked_for_and_logging_out_closes_it(page: Page, guarded: Guarded) -> None:
    key = guarded.make("user", "ada")
    go(page, "workers")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    check_everywhere(page)
    page.get_by_label("Key", exact=True).fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="no such key")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(key.key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
    expect(page.locator("#session")).to_contain_text("ada (user)")
    assert key.key not in page.evaluate("JSON.stringify([document.cookie, localStorage, sessionStorage])")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    # The browser itself says which answers were refusals.
    page.troubles.clear()  # type: ignore[attr-defined]
