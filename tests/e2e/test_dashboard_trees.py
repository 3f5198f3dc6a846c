"""A study and a committee as the dashboard shows them, while a worker pretends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from client.local.stack import LocalStack
from client.sdk import Dartboard
from client.worker_api import WorkerApi

from browsing import go, launched, needs_chromium, opened, violations
from crews import Crew

pytestmark = [needs_chromium, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, stack: LocalStack) -> Iterator[Page]:
    with opened(browser, stack.url) as page:
        yield page


@pytest.fixture
def crew(stack: LocalStack, data: Path, dartboard: Dartboard, tmp_path: Path) -> Iterator[Crew]:
    key = json.loads((data / "secrets.json").read_text())["worker_key"]
    with WorkerApi(stack.url, key) as api:
        crew = Crew(dartboard, api, tmp_path, "shown")
        yield crew
        crew.leave()


def test_a_studys_tree_grows_while_it_is_looked_at_and_ends_with_its_tables(page: Page, crew: Crew) -> None:
    study = crew.study(name="my study")
    go(page, f"jobs/{study.id}", ".tree")
    expect(page.locator(".tree tbody tr")).to_have_count(2)
    crew.work_until_ended(study)
    expect(page.locator(".tree tbody tr")).to_have_count(6)
    expect(page.locator(".tree .status.succeeded")).to_have_count(6)
    expect(page.get_by_text("Test accuracy 90.50 %")).to_be_visible()
    expect(page.get_by_text("the highest validation accuracy of 2 candidates")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="final/run-1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("my study final/run-1")


def test_a_committee_shows_its_members_and_its_file(page: Page, crew: Crew) -> None:
    committee = crew.work_until_ended(crew.committee())
    go(page, f"jobs/{committee.id}", ".tree")
    expect(page.get_by_role("region", name="Members").locator("tbody tr")).to_have_count(3)
    expect(page.get_by_text("/checkpoint")).to_be_visible()
    assert violations(page) == []
