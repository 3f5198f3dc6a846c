"""The keys of the dashboard, and what a browser shows of a job beside its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go, opened
from tests.support.databases import plain

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


def test_the_tab_shows_a_jobs_status(page: Page, service: LocalStack) -> None:
    icon = page.locator("link[rel=icon]")
    go(page, "jobs")
    brand = icon.get_attribute("href") or ""
    with Dartboard(service.url) as dartboard:
        job = dartboard.submit("search", {"dataset": "digits", "name": "second"})
        page.goto(f"/#/jobs/{job.id}")
        expect(page).to_have_title("○ second · Dartboard")
        queued = icon.get_attribute("href")
        # As in a hidden tab, which gets no frames.
        page.evaluate("window.requestAnimationFrame = () => 0")
        dartboard.pause(job.id)
        expect(page).to_have_title("⏸ second · Dartboard")
        paused = icon.get_attribute("href")
        dartboard.cancel(job.id)
        expect(page).to_have_title("– second · Dartboard")
    assert len({brand, queued, paused}) == 3
    page.get_by_role("link", name="Workers").click()
    expect(page).to_have_title("Workers · Dartboard")
    expect(icon).to_have_attribute("href", re.compile(f"{re.escape(brand)}$"))


def test_a_log_is_searched_and_saved(page: Page, service: LocalStack, job: JobOut, tmp_path: Path) -> None:
    lines = [f"epoch {number} ended" for number in range(1, 12)]
    with psycopg.connect(plain(service.processes["api"].command.environment["DATABASE_URL"])) as connection:
        for number, line in enumerate(lines, 100):
            data = {"time": "2026-01-01T12:00:00Z", "level": "info", "message": line}
            row = (job.id, number, json.dumps(data))
            connection.execute("insert into events (job_id, sequence, kind, data) values (%s, %s, 'log', %s)", row)
    go(page, f"jobs/{job.id}", ".logs div")
    page.get_by_label("Search the log").fill("EPOCH 1")
    expect(page.get_by_text("3 of 11 lines")).to_be_visible()
    expect(page.locator(".logs div:visible")).to_contain_text(["epoch 1 ended", "epoch 10 ended", "epoch 11 ended"])
    check_everywhere(page)
    with page.expect_download() as told:
        page.get_by_role("button", name="Download").click()
    told.value.save_as(tmp_path / "log")
    assert (tmp_path / "log").read_text().splitlines() == [f"2026-01-01T12:00:00Z info {line}" for line in lines]
    page.get_by_label("Search the log").fill("")
    expect(page.locator(".logs div:visible")).to_have_count(11)
