"""Searches that select a cell of an earlier search's supernet: their specs, files, resumes and refusals."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.jobs import JobOut
from api.schemas.worker import PartialReport, Release
from client.cli import app
from client.sdk import Dartboard
from darts_core.configs.selection import PerturbationConfig
from tests.support.service import Bench, SimulatedAttempt


@pytest.fixture
def search(bench: Bench) -> JobOut:
    """With 2 epochs."""
    job = bench.submit(epochs=2, nodes=2, method="gdas")
    training = bench.claim()
    training.report(1, b"the first")
    training.report(2, b"the last")
    training.finish()
    return bench.dartboard.wait(job)


def select(bench: Bench, search: JobOut, **fields: Any) -> JobOut:
    body = {"select": "perturbation", "search_id": str(search.id), "pool": bench.pool, **fields}
    return bench.dartboard.submit("search", body)


def given_to(training: SimulatedAttempt) -> bytes:
    [given] = training.claimed.inputs
    assert given.name == "source.pt"
    training.attempt.download(given, training.folder / given.name)
    return (training.folder / given.name).read_bytes()


def test_a_selection_takes_the_spec_and_the_last_checkpoint_of_its_search(
    bench: Bench, http: httpx.Client, search: JobOut
) -> None:
    job = select(bench, search, selection_interval=1, selection_criterion="loss", name="selected", dataset="digits")
    own = {"select": "perturbation", "selection_interval": 1, "selection_criterion": "loss"}
    own |= {"search_epochs": 2, "search_epoch": 2, "epochs": 6}
    assert own.items() <= job.spec.items()
    tuned = ("weight_lr", "weight_lr_min")
    assert {name: job.spec[name] for name in search.spec if name not in (*own, *tuned)} == {
        name: value for name, value in search.spec.items() if name not in (*own, *tuned)
    }
    assert job.spec["weight_lr"] == search.spec["weight_lr"] / 10
    assert (job.name, job.links["search"]) == ("selected", f"/searches/{search.id}")
    assert isinstance(bench.dartboard.spec(job), PerturbationConfig)
    # Not its own checkpoint.
    assert http.get(f"/searches/{job.id}/checkpoint").status_code == 409
    assert http.get(f"/searches/{job.id}/checkpoints").json()["items"] == []
    training = bench.claim()
    assert training.claimed.resume is None
    assert given_to(training) == b"the last"


def test_a_selection_resumes_from_its_own_checkpoints_and_keeps_its_input(
    bench: Bench, http: httpx.Client, search: JobOut
) -> None:
    job = select(bench, search, selection_interval=1)
    bench.dartboard.delete(search.id)
    first = bench.claim()
    path = first.folder / "partial-0-3.pt"
    path.write_bytes(b"within the first epoch")
    stored = first.attempt.upload(path)
    first.attempt.report_partial(
        PartialReport(n=first.number(), epoch=0, step=3, checkpoint=path.name, sha256=stored.sha256)
    )
    first.attempt.release(Release(n=first.number(), reason="shutdown"))
    second = bench.claim()
    assert (second.resume.epoch, second.resume.step) == (0, 3)
    assert given_to(second) == b"the last"
    for epoch in (1, 2, 3):
        second.report(epoch)
    second.attempt.release(Release(n=second.number(), reason="shutdown"))
    third = bench.claim()
    assert (third.resume.epoch, third.resume.step) == (3, 0)
    assert given_to(third) == b"the last"
    for epoch in (4, 5, 6):
        third.report(epoch)
    third.finish()
    assert bench.dartboard.wait(job).status == "succeeded"
    kept = http.get(f"/searches/{job.id}/checkpoints").json()["items"]
    assert [checkpoint["epoch"] for checkpoint in kept] == [6]


def test_the_search_stays_as_it_is(bench: Bench, http: httpx.Client, search: JobOut) -> None:
    before = bench.dartboard.job(search.id)
    job = select(bench, search)
    bench.dartboard.cancel(job.id)
    bench.dartboard.delete(job.id)
    assert bench.dartboard.job(search.id) == before
    assert http.get(f"/searches/{search.id}/checkpoint").content == b"the last"


@pytest.mark.parametrize(
    ("fields", "place", "message"),
    [
        ({"channels": 4}, "channels", "is 8 in the search: leave it out"),
        ({"dataset": "cifar10"}, "dataset", "is 'digits' in the search"),
        ({"method": "darts"}, "method", "is 'gdas' in the search"),
        ({"epochs": 5}, "epochs", "follows from the search"),
        ({"selection_interval": 0}, "selection_interval", "greater than or equal to 1"),
        ({"selection_criterion": "f1"}, "selection_criterion", "allowed: accuracy, loss"),
        ({"select": "magnitude"}, "select", "allowed: perturbation"),
        ({"family": "rnn"}, "family", "'cnn'"),
        ({"gpus": 2}, "gpus", "1 GPU"),
        ({"genotype": "DARTS_V2"}, "genotype", "unknown field"),
        ({"search_id": None}, "search_id", "must be an id"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(
    http: httpx.Client, bench: Bench, search: JobOut, fields: dict[str, Any], place: str, message: str
) -> None:
    body = {"select": "perturbation", "search_id": str(search.id), "pool": bench.pool, **fields}
    answer = http.post("/searches", json=body)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["loc"] == ["body", place]
    assert message in error["msg"]


@pytest.mark.parametrize("method", ["random", "rsps"])
def test_a_search_without_alphas_is_refused(http: httpx.Client, bench: Bench, method: str) -> None:
    job = bench.submit(method=method, epochs=1)
    training = bench.claim()
    training.report(1)
    training.finish()
    refused(http, job, 422, "which trains no alphas")


def test_a_recurrent_search_and_a_selection_are_refused(http: httpx.Client, bench: Bench, search: JobOut) -> None:
    recurrent = bench.dartboard.submit(
        "search", {"family": "rnn", "dataset": "python-docs", "epochs": 1, "pool": bench.pool}
    )
    refused(http, recurrent, 422, "is of family 'rnn'")
    bench.dartboard.cancel(recurrent.id)
    job = select(bench, search, selection_interval=1)
    refused(http, job, 409, "is queued")
    training = bench.claim()
    for epoch in range(1, 7):
        training.report(epoch)
    training.finish()
    refused(http, job, 422, "is a selection itself")


def test_only_a_search_that_succeeded_is_followed(http: httpx.Client, bench: Bench) -> None:
    job = bench.submit()
    refused(http, job, 409, "is queued: a selection follows one that succeeded")
    bench.dartboard.cancel(job.id)
    refused(http, job, 409, "is cancelled")
    unknown = http.post("/searches", json={"select": "perturbation", "search_id": str(uuid4())})
    assert unknown.status_code == 404


def refused(http: httpx.Client, job: JobOut, status: int, message: str) -> None:
    answer = http.post("/searches", json={"select": "perturbation", "search_id": str(job.id)})
    assert answer.status_code == status, answer.text
    assert message in answer.text


def test_the_command_selects(bench: Bench, dartboard: Dartboard, http: httpx.Client, search: JobOut) -> None:
    def run(*arguments: str) -> Any:
        url = ("--url", str(http.base_url))
        return CliRunner().invoke(app, ["search", *arguments, f"--set=pool={bench.pool}", "--detach", *url])

    done = run("--select=perturbation", f"--search-id={search.id}", "--set=selection_interval=2", "--json")
    job = json.loads(done.stdout)
    assert (job["spec"]["epochs"], job["links"]["search"]) == (11, f"/searches/{search.id}")
    assert "selection by perturbation: 11 epochs (--set selection_interval=N changes them)" in done.stderr
    alone = run("--select=perturbation")
    assert alone.exit_code == 2
    assert "go together" in alone.stderr
