"""The leaderboard: quality against cost, specs on parallel axes, ranks, and a study's outcome."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.fleet.filling import fill
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go, opened
from tests.support.databases import plain

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
JOBS = 60
POINTS = "svg.plot a"


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStack, Dartboard]]:
    """A service with ended retrainings of two numbers of epochs, the larger the better."""
    with LocalStack(tmp_path_factory.mktemp("ranked"), port=0, workers=0) as stack, Dartboard(stack.url) as dartboard:
        url = stack.processes["api"].command.environment["DATABASE_URL"]
        bodies = [{"dataset": "digits", "genotype": "DARTS_V2", "epochs": epochs} for epochs in (5, 10)]
        fill(url, [dartboard.submit("evaluation", body).id for body in bodies], queued=2, ended=JOBS)
        with psycopg.connect(plain(url)) as connection:
            connection.execute(
                """
                update jobs set name = 'job ' || place, costs_due = false,
                    costs = jsonb_build_object('parameters', 100000 * place, 'multiply_adds', 1000000 * place),
                    metrics = jsonb_build_object('validation_accuracy', 60 + place / 2.0)
                from (
                    select id, row_number() over (order by id) as place from jobs where labels ? 'fleet' and attempt = 1
                ) as numbered where numbered.id = jobs.id
                """
            )
        yield stack, dartboard


@pytest.fixture
def page(ranked: tuple[LocalStack, Dartboard], browser: Browser) -> Iterator[Page]:
    with opened(browser, ranked[0].url) as page:
        yield page


def ranks(page: Page) -> list[str]:
    return page.get_by_role("region", name="Ranks").get_by_role("link").all_text_contents()


def test_the_best_job_within_a_cost_is_first_and_the_address_keeps_the_choice(page: Page) -> None:
    go(page, "leaderboard", POINTS)
    expect(page.get_by_label("Quality", exact=True)).to_have_value("evaluation_validation")
    expect(page.locator(POINTS)).to_have_count(JOBS)
    assert ranks(page)[0] == f"job {JOBS}"
    page.get_by_label("Cost at most").fill("3M")
    expect(page.locator(POINTS)).to_have_count(30)
    assert ranks(page)[0] == "job 30"
    page.get_by_label("Cost", exact=True).select_option(label="Multiply-adds")
    expect(page.get_by_role("group", name="Retraining validation by Multiply-adds of 3 jobs")).to_be_visible()
    page.reload()
    expect(page.locator(POINTS)).to_have_count(3)
    expect(page.get_by_label("Cost at most")).to_have_value("3M")
    check_everywhere(page)


def test_a_point_shows_its_job_with_its_cell_and_leads_to_it(page: Page) -> None:
    go(page, "leaderboard?quality=evaluation_validation", POINTS)
    last = page.locator(f"{POINTS}:has(circle.best)").last
    last.locator("circle").hover()
    card = page.locator(".hover")
    expect(card).to_contain_text("Retraining validation")
    picture = card.get_by_role("img")
    expect(picture).to_be_visible()
    picture.evaluate("image => image.decode()")
    name = card.locator("strong").text_content()
    last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name or "")


def test_a_range_of_an_axis_keeps_the_jobs_that_cross_it(page: Page) -> None:
    go(page, "leaderboard?quality=evaluation_validation", POINTS)
    expect(page.locator("polyline")).to_have_count(JOBS)
    axis = page.locator(".parallel g").filter(has_text="Epochs").locator(".reach")
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] / 3)
    page.mouse.up()
    expect(page.locator("polyline.dim")).to_have_count(JOBS // 2)
    expect(page.locator(f"{POINTS}.dim")).to_have_count(JOBS // 2)
    page.locator(".parallel g").filter(has_text="Epochs").locator(".reach").click()
    expect(page.locator("polyline.dim")).to_have_count(0)


def test_chosen_jobs_are_ranked_alone(page: Page) -> None:
    go(page, "jobs?sort=name", "table.jobs tbody tr")
    for name in ("job 1", "job 2"):
        page.get_by_label(f"Choose {name}", exact=True).check()
    page.locator(".floating").get_by_role("link", name="Leaderboard").click()
    page.get_by_label("Quality", exact=True).select_option(label="Retraining validation")
    expect(page.locator(POINTS)).to_have_count(2)
    assert ranks(page) == ["job 2", "job 1"]
    page.get_by_role("link", name="As a list").click()
    expect(page.locator(".floating")).to_contain_text("2 chosen")


def test_figures_that_no_job_has_are_said_to_be_missing(page: Page) -> None:
    go(page, "leaderboard?quality=test")
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text(
        "No job here has both figures: test and parameters."
    )
