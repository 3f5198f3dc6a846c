"""The dashboard of a new service without workers: its first steps, and data sets whose files are not there yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.schemas.worker import Presence
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.archives import pets, tar_of
from tests.support.browser import check_everywhere, go, opened
from worker.api_client import WorkerApi

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("new"), port=0, workers=0) as stack:
        yield stack


@pytest.fixture
def page(new: LocalStack, browser: Browser) -> Iterator[Page]:
    with opened(browser, new.url) as page:
        yield page


@pytest.fixture(scope="module")
def uploads(new: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A usable upload, `pets`, and a failed one, `one-class`."""
    folder = tmp_path_factory.mktemp("uploads")
    images = pets()
    one_class = {name: content for name, content in images.items() if name.startswith("cat/")}
    with Dartboard(new.url) as dartboard:
        for name, files, state in (("pets", images, "ready"), ("one-class", one_class, "failed")):
            archive = folder / f"{name}.tar"
            archive.write_bytes(tar_of(files))
            dartboard.add_dataset(name, archive)
            assert dartboard.wait_for_dataset(name).state == state


def test_an_empty_service_tells_that_no_worker_is_there_and_starts_the_first_search(
    page: Page, new: LocalStack
) -> None:
    go(page, "jobs", ".first-steps")
    steps = page.get_by_role("region", name="First steps")
    expect(steps.get_by_role("status")).to_have_text("No worker has connected yet.")
    expect(steps.get_by_role("list", name="Commands that start a worker")).to_contain_text("./dartboard up")
    expect(page.get_by_role("table")).to_be_hidden()
    expect(steps.get_by_role("link", name="The API, request by request")).to_have_attribute("href", "/docs")
    check_everywhere(page)
    key = new.processes["api"].command.environment["DARTBOARD_WORKER_KEY"]
    with Dartboard(new.url) as dartboard, WorkerApi(new.url, key) as worker:
        worker.show(Presence(name="gpu-1", pools=["default"], device="cpu", version="1"))
        expect(steps.get_by_role("status")).to_have_text("gpu-1 is ready.")
        expect(steps.get_by_role("list", name="Commands that start a worker")).to_be_hidden()
        steps.get_by_role("button", name="Search a cell on digits").click()
        page.wait_for_url("**/#/jobs/*")
        [job] = dartboard.jobs()
        assert page.url.endswith(str(job.id))
        assert (job.kind, job.spec["dataset"], job.spec["preset"]) == ("search", "digits", "digits")
        page.go_back()
        expect(page.locator("table.jobs tbody tr")).to_have_count(1)
        expect(steps).to_be_hidden()
        dartboard.cancel(job.id)


def row(page: Page, name: str) -> list[str]:
    return page.get_by_role("row", name=re.compile(f"^{name}\\b")).locator("td").all_text_contents()


@pytest.mark.usefixtures("uploads")
def test_the_list_of_data_sets_tells_which_are_not_there(page: Page) -> None:
    go(page, "datasets", "tbody tr")
    states = {name: row(page, name)[1] for name in ("digits", "cifar10", "imagenet", "pets", "one-class")}
    assert states == {
        "digits": "ready",
        "cifar10": "downloads on first use",
        "imagenet": "needs files",
        "pets": "ready",
        "one-class": "failed",
    }
    assert "Put imagenet/train and imagenet/val under the data root of every worker." in row(page, "imagenet")[0]
    check_everywhere(page)


@pytest.mark.usefixtures("uploads")
@pytest.mark.parametrize("kind", ["search", "ensemble"])
def test_a_form_offers_usable_data_sets_with_their_state(page: Page, kind: str) -> None:
    go(page, f"new?kind={kind}", "form:not([hidden])")
    options = page.locator("#list-dataset option")
    offered = {each.get_attribute("value"): each.text_content() for each in options.all()}
    assert offered["cifar10"] == "downloads on first use"
    assert offered["imagenet"] == "needs files"
    assert offered["digits"] == offered["pets"] == "ready"
    assert "one-class" not in offered


@pytest.mark.usefixtures("uploads")
def test_the_form_tells_what_the_named_data_set_lacks(page: Page) -> None:
    go(page, "new", "form")
    dataset = page.get_by_label("dataset", exact=True)
    dataset.fill("imagenet")
    expect(dataset).to_have_accessible_description(
        re.compile("Put imagenet/train and imagenet/val under the data root")
    )
    check_everywhere(page)
    dataset.fill("one-class")
    expect(dataset).to_have_accessible_description(re.compile("Its check failed: .+"))
    dataset.fill("digits")
    expect(page.get_by_text("Its check failed")).to_have_count(0)


def test_a_failed_upload_names_its_files_and_no_object(page: Page, new: LocalStack, tmp_path: Path) -> None:
    broken = {f"{label}/{at}.png": b"no image" for label in ("cat", "dog") for at in range(3)}
    archive = tmp_path / "broken.tar"
    archive.write_bytes(tar_of(broken))
    with Dartboard(new.url) as dartboard:
        dartboard.add_dataset("broken", archive)
        assert dartboard.wait_for_dataset("broken").state == "failed"
    go(page, "datasets", "tbody tr")
    told = row(page, "broken")[0]
    assert "cat/0.png" in told
    assert "0x" not in told


def test_an_invalid_name_is_refused_in_words(page: Page) -> None:
    go(page, "datasets", "tbody tr")
    name = page.get_by_label("Name", exact=True)
    name.fill("my pets")
    assert name.evaluate("input => input.validationMessage").startswith("Up to 100 letters, digits")
    name.fill("pets2")
    assert name.evaluate("input => input.validity.valid")
