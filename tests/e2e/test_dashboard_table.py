"""The list of jobs as a table over all jobs: search, order, counts, columns, views, folding, and actions on many."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.fleet.filling import fill
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import go, opened, violations
from tests.support.databases import plain

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ENDED, QUEUED = 150, 30
ROWS = "table.jobs tbody tr"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStack, Dartboard]]:
    """A service without workers, with more jobs than a page of the list."""
    with LocalStack(tmp_path_factory.mktemp("full"), port=0, workers=0) as stack, Dartboard(stack.url) as dartboard:
        url = stack.processes["api"].command.environment["DATABASE_URL"]
        first = dartboard.submit("search", {"dataset": "digits", "epochs": 2, "name": "first try"})
        fill(url, [first.id], queued=QUEUED, ended=ENDED)
        with psycopg.connect(plain(url)) as connection:
            connection.execute("update jobs set name = 'filled ' || right(id::text, 4) where labels ? 'fleet'")
        yield stack, dartboard


@pytest.fixture
def page(full: tuple[LocalStack, Dartboard], browser: Browser) -> Iterator[Page]:
    with opened(browser, full[0].url) as page:
        yield page


@pytest.fixture
def dartboard(full: tuple[LocalStack, Dartboard]) -> Dartboard:
    return full[1]


def names(page: Page) -> list[str]:
    return page.locator("table.jobs td.name > div > a").all_text_contents()


def test_the_best_job_of_all_comes_first_and_the_address_keeps_the_order(page: Page, dartboard: Dartboard) -> None:
    best = next(dartboard.jobs(sort="-search.validation_accuracy"))
    go(page, "jobs", ROWS)
    page.get_by_role("button", name="Search validation").click()
    expect(page.locator(ROWS).first).to_contain_text(best.name or "")
    head = page.get_by_role("columnheader", name="Search validation")
    expect(head).to_have_attribute("aria-sort", "descending")
    page.reload()
    expect(page.locator(ROWS).first).to_contain_text(best.name or "")
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
    page.go_back()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(page.locator(ROWS).first).to_contain_text(best.name or "")


def test_the_search_and_the_counts_are_of_all_jobs(page: Page) -> None:
    go(page, "jobs", ROWS)
    summary = page.locator(".head p")
    expect(summary).to_have_text(f"{ENDED + QUEUED + 1} jobs · 0 running · {QUEUED + 1} queued")
    expect(page.locator(ROWS)).to_have_count(100)
    page.get_by_label("Search", exact=True).fill("first try")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(summary).to_have_text("1 job · 0 running · 1 queued")
    page.get_by_label("Search", exact=True).fill("no such job")
    expect(summary).to_have_text("No job matches these filters.")
    page.reload()
    expect(page.get_by_label("Search", exact=True)).to_have_value("no such job")
    page.get_by_label("Search", exact=True).fill("")
    status = page.get_by_role("search").get_by_label("Status")
    status.select_option("failed")
    expect(page.locator(ROWS)).to_have_count(ENDED // 25)
    expect(status.locator("option[value=queued]")).to_have_text(f"queued ({QUEUED + 1})")


def test_pages_follow_each_other_in_the_chosen_order(page: Page, dartboard: Dartboard) -> None:
    go(page, "jobs?sort=name", ROWS)
    page.get_by_role("button", name="Load more").click()
    expect(page.locator(ROWS)).to_have_count(ENDED + QUEUED + 1)
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    assert names(page) == [job.name for job in dartboard.jobs(sort="name")]


def test_twenty_five_jobs_fit_on_a_laptops_screen(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    go(page, "jobs", ROWS)
    expect(page.locator(ROWS).nth(24)).to_be_in_viewport(ratio=1)


def test_columns_are_chosen_and_what_is_shown_is_saved_as_csv(page: Page, tmp_path: Path) -> None:
    go(page, "jobs?status=failed", ROWS)
    page.get_by_text("Columns", exact=True).first.click()
    page.get_by_label("Seed").check()
    page.get_by_label("Created").uncheck()
    expect(page.get_by_role("columnheader", name="Seed")).to_be_visible()
    page.reload()
    expect(page.get_by_role("columnheader", name="Seed")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Created")).to_have_count(0)
    with page.expect_download() as told:
        page.get_by_role("button", name="CSV").click()
    told.value.save_as(tmp_path / "jobs.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "jobs.csv").read_text())))
    assert [row["Job"] for row in rows] == names(page)
    assert {row["Seed"] for row in rows} == {"0"}
    assert all(float(row["Search validation"]) >= 50 for row in rows)


def test_a_view_is_saved_under_a_name(page: Page) -> None:
    go(page, "jobs?status=failed&sort=name", ROWS)
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Name of this view").fill("what failed")
    page.get_by_role("button", name="Save").click()
    page.goto("/#/jobs")
    page.reload()
    expect(page.locator(ROWS)).to_have_count(100)
    page.get_by_text("Views", exact=True).click()
    assert violations(page) == []
    page.get_by_role("link", name="what failed").click()
    expect(page.locator(ROWS)).to_have_count(ENDED // 25)
    expect(page.get_by_role("columnheader", name="Job")).to_have_attribute("aria-sort", "ascending")


def test_the_children_of_a_study_are_folded_under_it(page: Page, dartboard: Dartboard) -> None:
    body = {
        "name": "many seeds",
        "seeds": [0, 1],
        "search": {"dataset": "digits", "epochs": 1},
        "short_retrain": {"epochs": 1},
        "final": {"epochs": 1},
        "final_runs": 2,
    }
    study = dartboard.submit("study", body)
    go(page, "jobs", ROWS)
    expect(page.locator(ROWS).first).to_contain_text("many seeds")
    toggle = page.get_by_role("button", name="Children of many seeds", exact=True)
    expect(page.get_by_role("link", name="many seeds search/seed-0")).to_have_count(0)
    next(event for event in dartboard.follow(study) if event.kind == "child")
    toggle.click()
    expect(page.locator("tr.child").first).to_contain_text("many seeds search/seed-0")
    toggle.click()
    expect(page.locator("tr.child")).to_have_count(0)
    # A search finds them, too.
    page.get_by_label("Search", exact=True).fill("search/seed-1")
    expect(page.locator(ROWS)).to_have_count(1)
    dartboard.cancel(study.id)


def test_a_queued_job_has_a_place_and_its_page_says_what_runs_before_it(page: Page, dartboard: Dartboard) -> None:
    pool = {"dataset": "digits", "pool": "tonight"}
    last = dartboard.submit("search", {**pool, "name": "can wait", "priority": 2})
    first = dartboard.submit("search", {**pool, "name": "comes first", "priority": 7})
    go(page, "jobs?q=can wait", ROWS)
    # No worker serves the pool, which is the more urgent thing to say.
    expect(page.locator(ROWS).first).to_contain_text("no worker")
    go(page, f"jobs/{last.id}", "section[aria-label=Queue] h2")
    queue = page.get_by_role("region", name="Queue")
    expect(queue.get_by_role("heading", level=2)).to_have_text("Place 2 in the queue of pool tonight")
    expect(queue).to_contain_text("no worker")
    expect(queue.get_by_role("link", name="comes first")).to_be_visible()
    assert violations(page) == []
    dartboard.cancel(first.id)
    expect(queue.get_by_role("heading", level=2)).to_have_text("Place 1 in the queue of pool tonight")
    dartboard.cancel(last.id)
    expect(queue).to_be_hidden()


def test_chosen_jobs_are_kept_and_acted_on_together(page: Page, dartboard: Dartboard) -> None:
    jobs = [dartboard.submit("search", {"dataset": "digits", "name": f"one of {n}"}) for n in range(3)]
    ended = next(dartboard.jobs(status="succeeded"))
    go(page, "jobs?q=one of", ROWS)
    for job in jobs[:2]:
        page.get_by_label(f"Choose {job.name}").check()
    expect(page.locator(".floating")).to_contain_text("2 chosen")
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 jobs")
    page.go_back()
    expect(page.get_by_label("Choose one of 0")).to_be_checked()
    page.go_forward()
    page.get_by_role("link", name="Choose others").click()
    expect(page.locator(".floating")).to_contain_text("2 chosen")
    page.get_by_label(f"Choose {ended.name}", exact=True).check()
    page.on("dialog", lambda dialog: dialog.accept("batch=7" if dialog.type == "prompt" else None))
    page.get_by_role("button", name="Label", exact=True).click()
    expect(page.locator(".notice.good")).to_contain_text("3 jobs labelled")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".notice").filter(has_text="2 jobs cancelled, 1 left as they are")).to_be_visible()
    found = [dartboard.job(job.id) for job in jobs]
    assert [job.status for job in found] == ["cancelled", "cancelled", "queued"]
    assert [job.labels.get("batch") for job in found] == ["7", "7", None]
    dartboard.cancel(jobs[2].id)


def test_why_a_job_waits_is_in_the_list(page: Page) -> None:
    go(page, "jobs?status=queued", ROWS)
    expect(page.locator(ROWS).first).to_contain_text("serves the pool default: start one, or submit to another pool")


def test_the_list_is_asked_for_once_and_compressed(page: Page) -> None:
    answers: list[str] = []
    page.on("response", lambda each: answers.append(each.url) if "/jobs?" in each.url else None)
    with page.expect_response(lambda each: "/jobs?" in each.url) as told:
        go(page, "jobs", ROWS)
    assert told.value.headers["content-encoding"] == "gzip"
    page.wait_for_load_state("load")
    expect(page.locator("#connection")).to_have_text("Live")
    assert len(answers) == 1


def test_a_list_that_is_opened_without_the_service_comes_with_it(
    full: tuple[LocalStack, Dartboard], page: Page
) -> None:
    go(page, "workers")
    page.route("**/jobs?*", lambda route: route.abort())
    page.route("**/events?*", lambda route: route.abort())
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    page.unroute("**/jobs?*")
    page.unroute("**/events?*")
    expect(page.locator(ROWS)).to_have_count(100)
    troubles: list[str] = page.troubles  # type: ignore[attr-defined]
    troubles[:] = [trouble for trouble in troubles if "net::ERR" not in trouble]
