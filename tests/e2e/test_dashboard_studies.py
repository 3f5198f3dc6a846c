"""A study and a committee on the dashboard, with a simulated worker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go
from tests.support.simulated_worker import SimulatedWorker
from worker.api_client import WorkerApi

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture
def worker(stack: LocalStack, data: Path, dartboard: Dartboard, tmp_path: Path) -> Iterator[SimulatedWorker]:
    key = json.loads((data / "secrets.json").read_text())["worker_key"]
    with WorkerApi(stack.url, key) as api:
        worker = SimulatedWorker(dartboard, api, tmp_path, "shown")
        yield worker
        worker.leave()


def test_a_studys_children_appear_live_and_its_tables_at_the_end(page: Page, worker: SimulatedWorker) -> None:
    study = worker.study(name="my study")
    go(page, f"jobs/{study.id}", ".children")
    expect(page.locator(".children tbody tr")).to_have_count(2)
    worker.work()
    expect(page.locator(".figures")).to_contain_text("Children ended1 of 6")
    worker.work_until_ended(study)
    expect(page.locator(".figures")).to_contain_text("Children ended6 of 6")
    expect(page.locator(".children tbody tr")).to_have_count(6)
    expect(page.locator(".children .status.succeeded")).to_have_count(6)
    expect(page.locator("strong", has_text="Test accuracy 90.50 %")).to_be_visible()
    expect(page.get_by_text("the highest validation accuracy of 2 candidates")).to_be_visible()
    check_everywhere(page)
    page.get_by_role("link", name="final/run-1", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("my study final/run-1")


def test_a_committee_shows_its_members_and_its_file(page: Page, worker: SimulatedWorker) -> None:
    committee = worker.work_until_ended(worker.committee())
    go(page, f"jobs/{committee.id}", ".children")
    expect(page.get_by_role("region", name="Members").locator("tbody tr")).to_have_count(3)
    expect(page.get_by_text("/checkpoint")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^-?\d+\.\d\d points of accuracy$"))).to_be_visible()
    check_everywhere(page)
    page.get_by_role("row", name="ensemble").get_by_role("link").click()
    expect(page.get_by_role("region", name="Members").locator("tbody tr")).to_have_count(5)
    assert page.get_by_role("region", name="Members").evaluate("part => part.scrollWidth <= part.clientWidth")
    check_everywhere(page)


def test_a_study_is_created_after_a_refusal_at_a_field_of_one_of_its_parts(page: Page, worker: SimulatedWorker) -> None:
    go(page, "new?kind=study", ".part")
    page.get_by_label("seeds", exact=True).fill("3, 4")
    search = page.get_by_role("group", name="search")
    search.get_by_label("dataset", exact=True).fill("digits")
    search.get_by_label("epochs", exact=True).fill("0")
    page.get_by_role("group", name="grid").get_by_label("2", exact=True).check()
    page.get_by_text("All settings").last.click()
    page.get_by_label("pool", exact=True).fill(worker.pool)
    page.get_by_role("button", name="Start the study").click()
    expect(search.get_by_label("epochs", exact=True)).to_be_focused()
    expect(search.get_by_text("greater than or equal to 1")).to_be_visible()
    search.get_by_label("epochs", exact=True).fill("1")
    page.get_by_role("button", name="Start the study").click()
    page.wait_for_selector(".children")
    created = worker.dartboard.job(page.url.rpartition("/")[2])
    assert created.spec["seeds"] == [3, 4]
    [point] = created.spec["points"]
    assert (point["values"], point["search"]["epochs"]) == ({"order": 2}, 1)
    # The browser reports the refused request.
    page.troubles.clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["study", "committee"])
def test_a_clone_of_a_composite_job_has_the_same_spec(page: Page, worker: SimulatedWorker, kind: str) -> None:
    tree = worker.study(grid={"order": [1, 2]}) if kind == "study" else worker.committee()
    go(page, f"new?from={tree.id}", ".part")
    page.get_by_role("button", name="Start the").click()
    page.wait_for_selector(".children")
    clone = worker.dartboard.job(page.url.rpartition("/")[2])
    assert clone.id != tree.id
    assert clone.spec == tree.spec


def test_an_invalid_member_is_refused_at_its_field(page: Page) -> None:
    go(page, "new?kind=ensemble", ".part")
    for place in (0, 1):
        member = page.get_by_role("group", name=f"members {place}")
        member.get_by_label("evaluation_id", exact=True).fill(
            "no id" if place else "01a204dd-203c-7526-803f-c3ac98d05626"
        )
    page.get_by_role("button", name="Create the ensemble").click()
    bad = page.get_by_role("group", name="members 1").get_by_label("evaluation_id", exact=True)
    expect(bad).to_be_focused()
    expect(bad).to_have_attribute("aria-invalid", "true")
    page.troubles.clear()  # type: ignore[attr-defined]
