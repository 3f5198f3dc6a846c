"""Advice in the dashboard's form, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from client.sdk import Dartboard
from tests.support.browser import check_everywhere, go
from tests.support.small_search import SEARCH

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def ask(page: Page, hours: str) -> None:
    page.get_by_label("Hours you have").fill(hours)
    page.get_by_role("button", name="Advise").click()


def test_advice_fills_the_form_and_shows_its_reasons(page: Page, dartboard: Dartboard) -> None:
    go(page, "new", "form")
    ask(page, "0.001")
    expect(page.get_by_text("Choose a data set first.")).to_be_visible()
    page.get_by_label("name", exact=True).fill("advised")
    page.get_by_label("dataset", exact=True).fill("digits")
    ask(page, "0.001")  # too few for a study, whatever has run here before
    advice = page.get_by_role("form", name="Advice")
    expect(advice.get_by_role("heading", name="Advice for digits, 1 GPU and 0.001 h")).to_be_visible()
    found = dartboard.advise("digits", hours=0.001)
    for sentence in found.sentences:
        expect(advice.get_by_text(sentence, exact=True)).to_be_visible()
    expect(advice.locator("tbody tr")).to_have_count(len(found.rows))
    expect(page.get_by_label("epochs", exact=True)).to_have_value(str(found.epochs))
    expect(page.get_by_label("method", exact=True).locator("option:checked")).to_have_text(found.method)
    check_everywhere(page)
    page.get_by_role("button", name="Search a cell").click()
    page.wait_for_url("**/#/jobs/*")
    job = dartboard.job(page.url.rpartition("/")[2])
    assert (job.name, job.spec["space"], job.spec["method"]) == ("advised", found.space, found.method)
    dartboard.cancel(job.id)


def test_advice_opens_the_form_of_a_study_where_several_seeds_fit(page: Page, dartboard: Dartboard) -> None:
    search = dartboard.submit("search", {**SEARCH, "epochs": 1})
    trained = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "channels": 4, "layers": 3}
    evaluation = dartboard.submit("evaluation", trained)
    assert {dartboard.wait(job).status for job in (search, evaluation)} == {"succeeded"}
    go(page, "new", "form")
    page.get_by_label("dataset", exact=True).fill("digits")
    ask(page, "100000")
    expect(page.get_by_role("button", name="Start the study")).to_be_visible()
    expect(page.get_by_label("study", exact=True)).to_be_checked()
    expect(page.get_by_label("seeds", exact=True)).to_have_value("0, 1, 2, 3")
    found = dartboard.advise("digits", hours=100_000)
    epochs = page.get_by_role("group", name="search").get_by_label("epochs", exact=True)
    expect(epochs).to_have_value(str(found.epochs))


def test_a_budget_that_is_none_is_refused_in_words(page: Page) -> None:
    go(page, "new", "form")
    page.get_by_label("dataset", exact=True).fill("digits")
    ask(page, "0")
    refusal = page.get_by_role("form", name="Advice").get_by_role("alert")
    expect(refusal).to_have_text('hours: must be greater than 0; got "0"')
    page.get_by_label("rnn", exact=True).check()
    expect(page.get_by_role("form", name="Advice")).to_be_hidden()
    # The browser reports the refused request.
    page.troubles.clear()  # type: ignore[attr-defined]
