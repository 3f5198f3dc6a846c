"""The keys of the dashboard, and what a browser shows of a job beside its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go, opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A service without workers."""
    with LocalStack(tmp_path_factory.mktemp("keyboard"), port=0, workers=0) as stack:
        yield stack


@pytest.fixture(scope="module")
def job(service: LocalStack) -> JobOut:
    """A search that waits."""
    with Dartboard(service.url) as dartboard:
        return dartboard.submit(
            "search", {"dataset": "digits", "epochs": 2, "name": "first", "labels": {"team": "vision"}}
        )


@pytest.fixture
def page(service: LocalStack, job: JobOut, browser: Browser) -> Iterator[Page]:
    with opened(browser, service.url) as page:
        yield page


def test_keys_lead_through_the_views(page: Page) -> None:
    go(page, "jobs", "table.jobs tbody tr")
    head = page.get_by_role("heading", level=1)
    for keys, view in (("gl", "Leaderboard"), ("gw", "Workers"), ("gj", "Jobs"), ("n", "New job")):
        for key in keys:
            page.keyboard.press(key)
        expect(head).to_have_text(view)
    # From another view, the list opens first.
    page.keyboard.press("/")
    search = page.get_by_label("Search", exact=True)
    expect(search).to_be_focused()
    page.keyboard.type("/ng?")
    expect(search).to_have_value("/ng?")
    expect(head).to_have_text("Jobs")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_keys_are_listed_and_can_be_turned_off(page: Page) -> None:
    go(page, "workers")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Go to the leaderboard")
    check_everywhere(page)
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
    page.get_by_role("button", name="Keyboard").click()
    dialog.get_by_label("These keys act").uncheck()
    dialog.get_by_role("button", name="Close").click()
    page.keyboard.press("?")
    page.keyboard.press("n")
    page.get_by_role("button", name="Keyboard").click()
    expect(dialog).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
    dialog.get_by_label("These keys act").check()
    dialog.get_by_role("button", name="Close").click()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
