"""The dashboard of a service that requires keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from client.local.stack import LocalStack
from tests.support.browser import check_everywhere, go, opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    data = tmp_path_factory.mktemp("locked")
    with LocalStack(data, port=0, workers=0, environment={"DARTBOARD_REQUIRE_KEYS": "true"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def key(locked: LocalStack) -> str:
    """An admin's key, created on the service's machine."""
    told = locked.processes["api"].command.environment
    command = [sys.executable, "-m", "api.keys", "create", "--role", "admin", "--owner", "ada"]
    environment = {**os.environ, "DATABASE_URL": told["DATABASE_URL"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def page(browser: Browser, locked: LocalStack) -> Iterator[Page]:
    with opened(browser, locked.url) as page:
        yield page
        # The browser reports refused requests.
        troubles: list[str] = page.troubles  # type: ignore[attr-defined]
        troubles[:] = [trouble for trouble in troubles if "401" not in trouble]


@pytest.mark.parametrize("place", ["jobs", "jobs/01a204dd-203c-7526-803f-c3ac98d05626", "compare", "workers"])
def test_without_a_session_the_page_asks_for_a_key_and_sends_no_other_request(page: Page, place: str) -> None:
    asked: list[str] = []
    go(page, place, "input[type=password]")
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("#connection")).to_have_text("")
    expect(page.locator("main")).to_contain_text("This service requires a key.")
    check_everywhere(page)
    assert asked == []


def test_a_wrong_key_is_refused_at_its_field_and_the_right_one_opens_the_view(page: Page, key: str) -> None:
    go(page, "jobs", "input[type=password]")
    page.get_by_label("Key", exact=True).fill("dbk_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="key")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    expect(page.locator("#connection")).to_have_text("Live")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    expect(page.locator("#connection")).to_have_text("")
