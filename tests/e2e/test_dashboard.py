"""Uses the dashboard in a browser, on the whole stack."""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.archives import pets, tar_of
from tests.support.browser import check_everywhere, drawn, go
from tests.support.small_search import SEARCH, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
SMALL = {name: value for name, value in SEARCH.items() if name != "dataset"}
HOURS: dict[str, Any] = {**SEARCH, "epochs": 1000, "channels": 32, "layers": 8, "nodes": 4, "batch_size": 512}


@pytest.fixture(scope="module")
def search(stack: LocalStack) -> JobOut:
    """A finished one of three epochs."""
    with Dartboard(stack.url) as dartboard:
        job = dartboard.submit("search", {**SEARCH, "epochs": 3, "name": "finished"})
        return dartboard.wait(job)


@pytest.fixture(scope="module")
def evaluation(stack: LocalStack) -> JobOut:
    """A finished one, with a checkpoint."""
    with Dartboard(stack.url) as dartboard:
        body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "channels": 4, "layers": 3, "name": "trained"}
        return dartboard.wait(dartboard.submit("evaluation", body))


def note_epochs(page: Page) -> None:
    """Note the epochs whose pictures the page shows, in its window: a reload loses them."""
    page.evaluate(
        """window.seen = new Set(); new MutationObserver(() => {
            const shown = document.querySelector(".pictures")?.dataset.epoch;
            if (shown) window.seen.add(Number(shown));
        }).observe(document.body, { subtree: true, childList: true, attributes: true })"""
    )


def late(route: Route) -> None:
    route.request.frame.wait_for_timeout(1000)
    route.continue_()


def noted_epochs(page: Page) -> list[int]:
    return page.evaluate("[...window.seen]")  # type: ignore[no-any-return]


def shown_epoch(page: Page, epoch: int) -> Any:
    return page.locator(f".pictures[data-epoch='{epoch}']")


def test_a_search_made_in_the_form_brings_its_epochs_without_a_reload(page: Page) -> None:
    go(page, "new", "form")
    page.get_by_label("name", exact=True).fill("from the form")
    page.get_by_label("dataset", exact=True).fill("digits")
    page.get_by_label("epochs", exact=True).fill("3")
    page.get_by_text("All settings").click()
    for name, value in SMALL.items():
        page.get_by_label(name, exact=True).fill(str(value))
    note_epochs(page)
    page.get_by_role("button", name="Search a cell").click()
    page.wait_for_url("**/#/jobs/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("from the form")
    # The first search on a machine compiles the kernels first.
    expect(shown_epoch(page, 3)).to_be_visible(timeout=300_000)
    expect(page.locator(".head .status")).to_have_text("succeeded")
    seen = noted_epochs(page)
    assert seen == sorted(seen)
    assert len(seen) > 1


def test_the_slider_goes_back_to_the_cell_of_an_earlier_epoch(page: Page, search: JobOut, dartboard: Dartboard) -> None:
    go(page, f"jobs/{search.id}", ".pictures[data-epoch='3']")
    # The last epoch's pictures come before the epochs.
    expect(page.get_by_role("slider")).to_be_enabled()
    page.get_by_role("slider").press("Home")
    expect(shown_epoch(page, 1)).to_be_visible()
    image = page.locator(".pictures img").first
    source = image.get_attribute("src") or ""
    assert "epoch=1" in source
    drawn = page.request.get(source).text()
    assert "Epoch 1 of 3" in drawn
    operations = {edge[0] for edge in dartboard.genotype(search.id, epoch=1).normal}  # type: ignore[union-attr]
    assert all(op in drawn and op in (image.get_attribute("alt") or "") for op in operations)


def test_play_goes_through_the_epochs_to_the_last(page: Page, search: JobOut) -> None:
    go(page, f"jobs/{search.id}", ".pictures[data-epoch='3']")
    # The last epoch's pictures come before the epochs.
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    page.get_by_role("slider").press("Home")
    expect(shown_epoch(page, 1)).to_be_visible()
    # Slow pictures delay the playing; none is skipped.
    page.route(re.compile("cells/.*epoch=2$"), late)
    note_epochs(page)
    page.get_by_role("button", name="Play").press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(shown_epoch(page, 3)).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert noted_epochs(page) == [1, 2, 3]


def test_curves_and_alphas_are_drawn_and_listed_in_tables(page: Page, search: JobOut, dartboard: Dartboard) -> None:
    go(page, f"jobs/{search.id}", ".chart")
    drawn(page)
    expect(page.locator(".heatmaplayer")).to_be_visible()
    page.get_by_text("As a table", exact=True).click()
    rows = page.locator("section[aria-label=Curves] tbody tr")
    expect(rows).to_have_count(3)
    last = dartboard.epochs(search.id)[-1]
    expect(rows.last).to_contain_text(f"{last.metrics['validation_accuracy']:.2f} %")
    page.get_by_text("One epoch as a table").click()
    weights = dartboard.alphas(search.id).weights["normal"]
    expect(page.get_by_role("row", name="c(k−2) → 2")).to_contain_text(f"{weights[0][0]:.3f}")


def test_a_page_that_outlives_the_api_catches_up_without_a_gap(
    page: Page, stack: LocalStack, dartboard: Dartboard
) -> None:
    job = dartboard.submit("search", {**SEARCH, "epochs": 5, "name": "cut off"})
    go(page, f"jobs/{job.id}", ".pictures[data-epoch='1']")
    page.get_by_text("As a table", exact=True).click()
    stack.processes["api"].kill()
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    expect(page.locator(".head .status")).to_have_text("succeeded", timeout=120_000)
    numbers = page.locator("section[aria-label=Curves] tbody td:first-child")
    expect(numbers).to_have_text(["1", "2", "3", "4", "5"])
    lines = page.locator(".logs div")
    expect(lines).to_have_count(len(dartboard.logs(job.id, 500)))
    # The browser reports the failed connections.
    troubles: list[str] = page.troubles  # type: ignore[attr-defined]
    troubles[:] = [trouble for trouble in troubles if "net::ERR" not in trouble]


def test_a_retraining_of_a_search_shows_the_values_that_it_would_run_with(
    page: Page, search: JobOut, dartboard: Dartboard
) -> None:
    go(page, f"jobs/{search.id}", ".pictures[data-epoch='3']")
    expect(page.get_by_role("slider")).to_be_enabled()
    page.get_by_role("slider").press("Home")
    expect(shown_epoch(page, 1)).to_be_visible()
    page.get_by_role("link", name="Train this cell").click()
    expect(page.get_by_role("spinbutton", name="epoch", exact=True).first).to_have_value("1")
    expect(page.get_by_label("dataset", exact=True)).to_have_attribute("placeholder", "digits")
    page.get_by_text("All settings").click()
    fields = ("epochs", "channels", "layers", "batch_size")
    shown = {name: page.get_by_label(name, exact=True).get_attribute("placeholder") for name in fields}
    page.get_by_role("button", name="Train a cell").click()
    page.wait_for_url("**/#/jobs/*")
    job = dartboard.job(page.url.rsplit("/", 1)[-1])
    assert {name: str(job.spec[name]) for name in fields} == shown
    dartboard.cancel(job.id)


def test_a_page_that_is_opened_without_the_service_tries_again(page: Page, search: JobOut) -> None:
    go(page, "workers")
    page.route("**/jobs/*", lambda route: route.abort())
    page.evaluate(f"location.hash = '#/jobs/{search.id}'")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.unroute("**/jobs/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("finished")
    troubles: list[str] = page.troubles  # type: ignore[attr-defined]
    troubles[:] = [trouble for trouble in troubles if "net::ERR" not in trouble]


def test_an_evaluations_test_accuracy_is_among_its_first_figures(page: Page, evaluation: JobOut) -> None:
    go(page, f"jobs/{evaluation.id}", ".figures")
    accuracy = (evaluation.metrics or {})["test_accuracy"]
    expect(page.locator(".figures").first).to_contain_text(f"Test accuracy{accuracy:.2f} %")


def test_a_job_is_cancelled_and_its_attempt_shows_the_reason(page: Page, dartboard: Dartboard) -> None:
    job = dartboard.submit("search", HOURS)
    go(page, f"jobs/{job.id}")
    expect(page.locator(".head .status")).to_have_text("running")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".head .status")).to_have_text("cancelled")
    expect(page.get_by_role("row", name="cancelled by request")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    assert dartboard.job(job.id).status == "cancelled"


def test_queued_jobs_show_their_places(page: Page, dartboard: Dartboard) -> None:
    running, second, third = (dartboard.submit("search", {**HOURS, "name": f"turn {n}"}) for n in (1, 2, 3))
    go(page, "jobs", "#connection[data-state=live]")
    expect(page.get_by_role("row", name="turn 2")).to_contain_text("next in the queue")
    expect(page.get_by_role("row", name="turn 3")).to_contain_text("place 2 in the queue")
    expect(page.get_by_text("place 2 in the queue")).to_have_attribute("title", "after turn 2")
    dartboard.cancel(second.id)
    expect(page.get_by_role("row", name="turn 3")).to_contain_text("next in the queue")
    for job in (third, running):
        dartboard.cancel(job.id)


def test_a_new_job_appears_in_the_list_and_is_updated(page: Page, dartboard: Dartboard) -> None:
    go(page, "jobs", "#connection[data-state=live]")
    job = dartboard.submit("search", {**SEARCH, "epochs": 2, "name": "newcomer", "labels": {"by": "sdk"}})
    row = page.get_by_role("row", name="newcomer")
    expect(row).to_contain_text("by=sdk")
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("1 / 2")
    dartboard.cancel(job.id)
    expect(row).to_contain_text("cancelled")


def test_two_jobs_are_compared(page: Page, search: JobOut, evaluation: JobOut) -> None:
    go(page, "jobs", "table.jobs tbody tr")
    page.get_by_label("Choose finished").check()
    page.get_by_label("Choose trained").check()
    page.get_by_role("link", name="Compare", exact=True).click()
    figures = page.get_by_role("region", name="Figures")
    expect(figures.get_by_role("link")).to_have_text(["finished", "trained"])
    expect(figures.get_by_role("row", name="Epochs")).to_contain_text("3 of 3")
    expect(figures.locator(".best").first).to_contain_text("best of the row")
    drawn(page)
    specs = page.get_by_role("region", name="Where the specs differ")
    expect(specs.get_by_role("row", name="Batch size")).to_contain_text("128")
    cells = page.get_by_role("region", name="The cells, edge by edge")
    expect(cells.get_by_role("row").first).to_contain_text("trained")
    expect(cells.locator("mark").first).to_be_visible()


def test_a_checkpoint_is_downloaded_bit_for_bit(
    page: Page, evaluation: JobOut, dartboard: Dartboard, tmp_path: Path
) -> None:
    go(page, f"jobs/{evaluation.id}")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download epoch 1").click()
    downloading.value.save_as(tmp_path / "page.pt")
    other = dartboard.download_checkpoint(evaluation.id, tmp_path / "sdk.pt")
    digest = hashlib.sha256((tmp_path / "page.pt").read_bytes()).hexdigest()
    assert digest == hashlib.sha256(other.read_bytes()).hexdigest()
    expect(page.get_by_text(f"sha256 {digest}")).to_be_visible()
    expect(page.locator(".command pre").first).to_contain_text("curl -OJ")
    page.get_by_text("In Python").click()
    snippet = page.locator("details .command pre").text_content() or ""
    found: dict[str, Any] = {}
    with contextlib.chdir(tmp_path):
        exec(snippet, found)
    assert found["network"].classes == tuple(str(digit) for digit in range(10))


def test_the_form_has_the_fields_of_the_chosen_method(page: Page) -> None:
    go(page, "new", "form")
    page.get_by_text("All settings").click()
    method = page.get_by_label("method", exact=True)
    start = page.get_by_label("temperature_start", exact=True)
    expect(start).to_be_hidden()
    method.select_option(label="gdas")
    expect(start).to_be_visible()
    expect(start).to_have_attribute("placeholder", "10")
    method.select_option(label="beta-darts")
    expect(start).to_be_hidden()
    placeholder = page.get_by_label("beta_regularisation", exact=True)
    expect(placeholder).to_have_attribute("placeholder", "half the epochs")
    assert "drnas" in method.locator("option").all_text_contents()
    page.get_by_label("rnn", exact=True).check()
    options = page.get_by_label("method", exact=True).locator("option").all_text_contents()
    assert "gdas" in options
    assert "drnas" not in options


def test_an_invalid_value_is_refused_at_its_field(page: Page) -> None:
    go(page, "new", "form")
    page.get_by_label("dataset", exact=True).fill("digits")
    page.get_by_text("All settings").click()
    page.get_by_label("batch_size", exact=True).fill("5000")
    page.get_by_text("All settings").click()
    page.get_by_role("button", name="Search a cell").click()
    bad = page.get_by_label("batch_size", exact=True)
    expect(bad).to_be_focused()
    expect(bad).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("give at most 718").first).to_be_visible()
    # The browser reports the refused request.
    page.troubles.clear()  # type: ignore[attr-defined]


def test_every_refused_value_has_its_message_until_it_is_mended(page: Page) -> None:
    go(page, "new", "form.stack:not([aria-label])")
    page.get_by_label("dataset", exact=True).fill("digits")
    page.get_by_text("All settings").click()
    page.get_by_label("pool", exact=True).fill("a b")
    page.get_by_label("epochs", exact=True).fill("0")
    page.get_by_role("button", name="Search a cell").click()
    epochs, pool = page.get_by_label("epochs", exact=True), page.get_by_label("pool", exact=True)
    expect(epochs).to_be_focused()
    expect(epochs).to_have_accessible_description(re.compile("must be greater than or equal to 1"))
    expect(pool).to_have_accessible_description(re.compile("lower-case letters, digits, _, -"))
    epochs.fill("1")
    expect(epochs).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("greater than or equal to 1")).to_have_count(0)
    expect(pool).to_have_attribute("aria-invalid", "true")
    pool.fill("idle")
    expect(page.get_by_text("Some values are not valid")).to_have_count(0)
    # The browser reports the refused request.
    page.troubles.clear()  # type: ignore[attr-defined]


def test_the_form_keeps_what_was_typed(page: Page) -> None:
    go(page, "new", "form.stack:not([aria-label])")
    page.get_by_label("epochs", exact=True).fill("7")
    page.get_by_label("score", exact=True).check()
    expect(page.get_by_label("epochs", exact=True)).to_have_count(0)
    page.get_by_label("search", exact=True).check()
    expect(page.get_by_label("epochs", exact=True)).to_have_value("7")
    page.get_by_role("link", name="Workers").click()
    page.wait_for_url("**/#/workers")
    page.go_back()
    expect(page.get_by_label("epochs", exact=True)).to_have_value("7")


def test_every_kind_is_explained(page: Page) -> None:
    go(page, "new", "form.stack:not([aria-label])")
    expect(page.get_by_text("Finds a cell: trains a supernet")).to_be_visible()
    page.get_by_label("study", exact=True).check()
    expect(page.get_by_text("Repeats a search over seeds")).to_be_visible()
    check_everywhere(page)


def test_a_clone_of_a_retraining_names_its_search_and_epoch(page: Page, search: JobOut, dartboard: Dartboard) -> None:
    body = {"search_id": str(search.id), "epoch": 2, "epochs": 1, "pool": "idle", "name": "again"}
    first = dartboard.submit("evaluation", body)
    genotypes = {each.epoch: each.genotype for each in dartboard.epochs(search.id)}
    same = max(epoch for epoch, genotype in genotypes.items() if genotype == genotypes[2])
    go(page, f"new?from={first.id}", "form:not([hidden])")
    expect(page.get_by_label("search_id", exact=True)).to_have_value(str(search.id))
    expect(page.get_by_role("spinbutton", name="epoch", exact=True).first).to_have_value(str(same))
    expect(page.get_by_label("genotype", exact=True)).to_have_value("")
    expect(page.get_by_label("name", exact=True)).to_have_value("again (copy)")
    page.get_by_role("button", name="Train a cell").click()
    page.wait_for_url("**/#/jobs/*")
    clone = dartboard.job(page.url.rpartition("/")[2])
    assert clone.spec == first.spec
    for job in (first, clone):
        dartboard.cancel(job.id)


def test_a_clone_asks_for_the_values_that_differ_from_the_preset(
    page: Page, search: JobOut, dartboard: Dartboard
) -> None:
    go(page, f"jobs/{search.id}")
    page.get_by_role("link", name="Clone and edit").click()
    page.wait_for_selector("form")
    expect(page.get_by_label("batch_size", exact=True)).to_have_value("128")
    expect(page.get_by_label("alpha_lr", exact=True)).to_have_value("")
    expect(page.get_by_label("alpha_lr", exact=True)).to_have_attribute("placeholder", "0.02")
    page.get_by_label("name", exact=True).fill("its clone")
    page.get_by_label("seed", exact=True).fill("7")
    page.get_by_label("pool", exact=True).fill("idle")
    page.get_by_role("button", name="Search a cell").click()
    page.wait_for_url("**/#/jobs/*")
    clone = dartboard.job(page.url.rpartition("/")[2])
    assert clone.spec == {**search.spec, "seed": 7}
    dartboard.cancel(clone.id)


def test_a_data_set_is_uploaded_and_checked(page: Page, tmp_path: Path) -> None:
    archive = tmp_path / "pets.tar"
    archive.write_bytes(tar_of(pets()))
    go(page, "datasets", "form")
    page.get_by_label("Name").fill("pets")
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Upload").click()
    row = page.get_by_role("row", name=re.compile(r"^pets "))
    expect(row).to_contain_text("ready")
    expect(row).to_contain_text("2 classes")


def test_workers_are_listed_with_their_job(page: Page, dartboard: Dartboard) -> None:
    job = dartboard.submit("search", HOURS)
    until(dartboard.follow(job), lambda e: e.kind == "status" and e.data["status"] == "running")
    go(page, "workers", "tbody tr")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("running")
    expect(row).to_contain_text(re.compile(r"[\d.]+ GB of [\d.]+ GB"))
    expect(row.get_by_role("progressbar", name="utilisation")).to_be_visible()
    row.get_by_role("link").click()
    page.wait_for_url(f"**/#/jobs/{job.id}")
    dartboard.cancel(job.id)


def test_usage_is_divided_by_what_is_chosen_and_the_address_says_so(page: Page, search: JobOut) -> None:
    go(page, "usage", "tbody tr")
    expect(page.locator("main").get_by_role("status")).to_contain_text("on GPUs")
    page.get_by_label("Divided by").select_option("kind")
    row = page.get_by_role("row", name=re.compile("^search "))
    expect(row).to_contain_text(re.compile(r"\d+ (s|min)"))
    page.get_by_label("Of the last").select_option("7")
    expect(page).to_have_url(re.compile(r"#/usage\?by=kind&days=7$"))
    page.reload()
    expect(page.get_by_label("Divided by")).to_have_value("kind")
    expect(page.get_by_label("Of the last")).to_have_value("7")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.path().read_text().startswith("kind,jobs,attempts,")


def test_usage_shows_shares_and_budgets(page: Page, search: JobOut, dartboard: Dartboard) -> None:
    dartboard.set_budget("ada", 200)
    go(page, "usage", "section tbody tr")
    shares = page.get_by_role("region", name="Shares and budgets")
    expect(shares.get_by_role("row", name=re.compile("^without a key "))).to_contain_text(
        re.compile(r"100\.0 %, \d\.\d GPU-hours")
    )
    ada = shares.get_by_role("row", name=re.compile("^ada "))
    expect(ada).to_contain_text("0.0 of 200 GPU-hours, 0 %")
    expect(ada.get_by_role("progressbar", name="used part of the budget")).to_be_visible()
    check_everywhere(page)
    dartboard.remove_budget("ada")


@pytest.mark.parametrize(
    ("place", "seen"),
    [
        ("jobs", "tbody tr"),
        ("jobs/{search}", ".chart"),
        ("jobs/{evaluation}", ".chart"),
        ("new", "form"),
        ("new?kind=study", ".part"),
        ("new?kind=committee", ".part"),
        ("new?kind=ensemble", ".part"),
        ("compare?ids={search},{evaluation}", ".chart"),
        ("compare", "fieldset"),
        ("workers", "tbody tr"),
        ("datasets", "tbody tr"),
        ("usage?by=kind", "tbody tr"),
    ],
)
def test_every_view_is_accessible_and_fits_the_screen(
    page: Page, search: JobOut, evaluation: JobOut, place: str, seen: str
) -> None:
    go(page, place.format(search=search.id, evaluation=evaluation.id), seen)
    drawn(page)
    check_everywhere(page)
