"""A job's page: what happened, its stage, sections, lineage and notes; and addresses that lead nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go, opened
from tests.support.databases import plain

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
Change = Callable[..., None]
EVALUATION = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 10}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A service without workers: tests set the state of its jobs in the database."""
    with LocalStack(tmp_path_factory.mktemp("idle"), port=0, workers=0) as stack:
        yield stack


@pytest.fixture(scope="module")
def dartboard(idle: LocalStack) -> Iterator[Dartboard]:
    with Dartboard(idle.url) as dartboard:
        yield dartboard


@pytest.fixture
def page(idle: LocalStack, browser: Browser) -> Iterator[Page]:
    with opened(browser, idle.url) as page:
        yield page


@pytest.fixture
def change(idle: LocalStack) -> Change:
    def _change(job: UUID, **columns: Any) -> None:
        values = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in columns.items()}
        with psycopg.connect(plain(idle.processes["api"].command.environment["DATABASE_URL"])) as connection:
            for name, value in values.items():
                connection.execute(f"update jobs set {name} = %s where id = %s", (value, job))

    return _change


@pytest.fixture
def failed(dartboard: Dartboard, change: Change) -> UUID:
    job = dartboard.submit("search", {"dataset": "digits", "epochs": 2, "name": "no luck"})
    error = {
        "type": "DataError",
        "message": "the data set is too small: give more images",
        "traceback": "",
        "log_tail": [],
    }
    times = {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:02:00Z"}
    change(job.id, status="failed", status_reason=error["message"], error=error, **times)
    return job.id


def expected_troubles(page: Page, words: str) -> None:
    troubles: list[str] = page.troubles  # type: ignore[attr-defined]
    troubles[:] = [trouble for trouble in troubles if words not in trouble]


def test_a_failure_is_told_once_with_the_ways_out_and_no_cell_is_promised(page: Page, failed: UUID) -> None:
    go(page, f"jobs/{failed}", ".error-panel")
    expect(page.get_by_text("the data set is too small")).to_have_count(1)
    expect(page.get_by_text("Retry goes on from the last stored epoch")).to_be_visible()
    expect(page.get_by_text("Failed after 2 min")).to_be_visible()
    expect(page.get_by_role("heading", name="Cell")).to_be_hidden()
    expect(page.get_by_role("navigation", name="Sections").get_by_role("link", name="Cell")).to_be_hidden()
    check_everywhere(page)


def test_the_stage_of_a_running_job_is_shown_with_a_clock(page: Page, dartboard: Dartboard, change: Change) -> None:
    job = dartboard.submit("search", {"dataset": "digits", "epochs": 2})
    progress = {"epoch": 1, "epochs": 2, "step": 0, "steps": 0, "eta_seconds": None, "stage": "compiling CPU kernels"}
    change(job.id, status="running", attempt=1, progress=progress)
    go(page, f"jobs/{job.id}", ".happened")
    expect(page.locator(".happened")).to_have_text("Compiling CPU kernels, for 0 s")
    expect(page.locator(".happened")).to_have_text("Compiling CPU kernels, for 2 s")
    go(page, "jobs", "table.jobs tbody tr")
    expect(page.get_by_text("1 / 2 · compiling CPU kernels")).to_be_visible()


def test_a_diverged_run_is_told_in_the_list_and_on_its_page(page: Page, dartboard: Dartboard, change: Change) -> None:
    job = dartboard.submit("evaluation", {**EVALUATION, "name": "runaway"})
    change(job.id, status="succeeded", metrics={"validation_loss": 1e7, "validation_accuracy": 10.0})
    go(page, f"jobs/{job.id}", ".caution")
    expect(page.locator(".caution")).to_contain_text("diverged: its validation loss is 1e+07 nats")
    go(page, "jobs", "table.jobs tbody tr")
    expect(page.get_by_role("row", name="runaway")).to_contain_text("diverged")


def test_the_threads_are_listed_once(page: Page, failed: UUID, change: Change) -> None:
    change(failed, threads=3)
    go(page, f"jobs/{failed}?section=spec", ".pairs")
    names = page.locator("section", has=page.get_by_text("Spec", exact=True)).last.locator("dt")
    assert names.all_text_contents().count("threads") == 1


def test_the_address_keeps_the_section(page: Page, failed: UUID) -> None:
    go(page, f"jobs/{failed}", ".rail")
    rail = page.get_by_role("navigation", name="Sections")
    rail.get_by_role("link", name="Spec").click()
    expect(page).to_have_url(f"{page.url.split('?')[0]}?section=spec")
    page.reload()
    expect(rail.get_by_role("link", name="Spec")).to_have_attribute("aria-current", "true")
    expect(page.get_by_text("priority", exact=True)).to_be_in_viewport()


def test_lineage_leads_from_a_search_to_its_retraining_and_back(
    page: Page, dartboard: Dartboard, change: Change
) -> None:
    search = dartboard.submit("search", {"dataset": "digits", "epochs": 2, "name": "the search"})
    training = dartboard.submit("evaluation", {**EVALUATION, "name": "the retraining"})
    change(training.id, source_id=search.id, metrics={"validation_accuracy": 90.0})
    go(page, f"jobs/{training.id}", ".rail")
    made = page.locator("section", has=page.get_by_role("heading", name="Lineage")).last
    expect(made).to_contain_text("digits")
    page.get_by_role("link", name="Score", exact=True).click()
    expect(page.get_by_label("evaluation_id", exact=True)).to_have_value(str(training.id))
    page.go_back()
    made.get_by_role("link", name="the search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("the search")
    made.get_by_role("link", name="the retraining").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("the retraining")
    check_everywhere(page)


def test_name_labels_and_notes_are_edited_in_place_and_a_label_leads_to_its_jobs(
    page: Page, dartboard: Dartboard
) -> None:
    job = dartboard.submit("search", {"dataset": "digits", "epochs": 2, "labels": {"team": "a"}})
    go(page, f"jobs/{job.id}", ".rail")
    page.get_by_role("button", name="Edit name, labels and notes").click()
    check_everywhere(page)
    page.get_by_label("Name", exact=True).fill("renamed")
    page.get_by_label("Labels", exact=True).fill("team=vision\nrun=7")
    page.get_by_label("Notes", exact=True).fill(
        "## Why\n\n- a **first** try of [it](https://example.org/)\n\n<img src=x onerror=alert(1)>"
    )
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed")
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
    expect(page.locator(".notes li strong")).to_have_text("first")
    expect(page.locator(".notes img")).to_have_count(0)
    expect(page.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    assert dartboard.job(job.id).labels == {"team": "vision", "run": "7"}
    page.get_by_role("link", name="team=vision").click()
    expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    expect(page.get_by_label("Label", exact=True)).to_have_value("team=vision")


def test_a_notification_that_was_asked_for_tells_the_end(page: Page, dartboard: Dartboard) -> None:
    job = dartboard.submit("search", {"dataset": "digits", "epochs": 2, "name": "watched"})
    page.add_init_script(
        "window.told = []; window.Notification = class { constructor(title) { told.push(title) }"
        " static requestPermission() { return Promise.resolve('granted') } }"
    )
    go(page, f"jobs/{job.id}", ".rail")
    page.get_by_role("button", name="Notify me").click()
    expect(page.get_by_role("button", name="Notify me")).to_have_attribute("aria-pressed", "true")
    # As in a hidden tab, which gets no frames.
    page.evaluate("window.requestAnimationFrame = () => 0")
    dartboard.cancel(job.id)
    expect(page.locator(".head .status")).to_have_text("cancelled")
    assert page.evaluate("told") == ["watched: cancelled"]
    expect(page.get_by_role("button", name="Notify me")).to_be_hidden()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere", "The dashboard has no page at #/nowhere"),
        ("jobs/12-x", "12-x is not the id of a job"),
        ("jobs/%E0%A4%A", "is not the id of a job"),
        ("jobs/01a204dd-203c-7526-803f-c3ac98d05626", "No job 01a204dd-203c-7526-803f-c3ac98d05626"),
    ],
)
def test_an_address_that_leads_nowhere_is_answered_in_words(page: Page, place: str, words: str) -> None:
    go(page, place)
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.get_by_text(words)).to_be_visible()
    expected_troubles(page, "404")
    check_everywhere(page)
    page.get_by_role("link", name="All jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


def test_a_path_that_the_service_does_not_have_is_a_page_in_a_browser(page: Page) -> None:
    page.goto("/no/such/path")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    check_everywhere(page)
    page.get_by_role("link", name="Open the dashboard").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    expected_troubles(page, "404")
    answer = page.request.get("/no/such/path", headers={"Accept": "application/json"})
    assert answer.json()["status"] == 404
