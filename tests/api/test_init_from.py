"""Searches and evaluations that start from another job's state: specs, files, resumes, and what the door refuses."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.jobs import JobOut
from api.schemas.worker import Release
from client.cli import app
from client.errors import ProblemError
from client.sdk import Dartboard
from darts_core.configs import SearchConfig
from darts_core.configs.init_from import ALPHAS, SOURCE, InitFrom
from tests.support.service import Bench, SimulatedAttempt

SMALL = {"channels": 8, "layers": 3, "nodes": 2}
TABLES = {"normal": [[0.1, -3.2e-5]], "reduce": [[1e-45, 2.0]]}


@pytest.fixture
def search(bench: Bench) -> JobOut:
    """With 3 epochs, the first of which has TABLES as alphas."""
    job = bench.submit(**SMALL)
    training = bench.claim()
    training.report(1, alphas=TABLES)
    training.report(2)
    training.report(3, b"the last")
    training.finish()
    return bench.dartboard.wait(job)


def start(bench: Bench, search: JobOut, init_from: dict[str, Any], **fields: Any) -> JobOut:
    return bench.submit(**{**SMALL, **fields, "init_from": {"job": str(search.id), **init_from}})


def given_to(training: SimulatedAttempt) -> tuple[str, bytes]:
    [given] = training.claimed.inputs
    training.attempt.download(given, training.folder / given.name)
    return given.name, (training.folder / given.name).read_bytes()


def test_a_search_starts_from_the_last_checkpoint_of_another_one(
    bench: Bench, http: httpx.Client, search: JobOut
) -> None:
    job = start(bench, search, {})
    checksum = hashlib.sha256(b"the last").hexdigest()
    assert job.spec["init_from"] == {"job": str(search.id), "epoch": 3, "what": "all", "checksum": checksum}
    assert job.links["search"] == f"/searches/{search.id}"
    training = bench.claim()
    assert training.claimed.resume is None
    assert given_to(training) == (SOURCE, b"the last")
    # Not its own checkpoint.
    assert http.get(f"/searches/{job.id}/checkpoint").status_code == 409


def test_the_alphas_of_any_epoch_start_a_search(bench: Bench, search: JobOut) -> None:
    job = start(bench, search, {"what": "alphas", "epoch": 1}, channels=16, layers=8)
    training = bench.claim()
    name, content = given_to(training)
    assert (name, json.loads(content)) == (ALPHAS, TABLES)
    assert job.spec["init_from"]["checksum"] == hashlib.sha256(content).hexdigest()
    last = start(bench, search, {"what": "alphas"})
    assert last.spec["init_from"]["epoch"] == 3
    # Once more, as cloning does: with the epoch and the checksum.
    assert start(bench, search, job.spec["init_from"]).spec["init_from"] == job.spec["init_from"]


def test_a_started_search_resumes_from_its_own_checkpoints_whatever_becomes_of_the_other(
    bench: Bench, search: JobOut
) -> None:
    job = start(bench, search, {})
    bench.dartboard.delete(search.id)
    assert "search" not in bench.dartboard.job(job.id).links
    first = bench.claim()
    assert given_to(first) == (SOURCE, b"the last")
    first.report(1)
    first.attempt.release(Release(n=first.number(), reason="shutdown"))
    second = bench.claim()
    assert second.resume.epoch == 1
    assert given_to(second) == (SOURCE, b"the last")
    second.report(2)
    second.report(3)
    second.finish()
    assert bench.dartboard.wait(job).status == "succeeded"


def test_a_typed_spec_starts_a_search(bench: Bench, search: JobOut) -> None:
    spec = SearchConfig(dataset="digits", **SMALL, init_from=InitFrom(job=search.id, epoch=2, what="alphas"))
    job = bench.dartboard.submit("search", spec)
    bench.dartboard.cancel(job.id)
    found = bench.dartboard.spec(job).init_from
    assert found is not None
    assert (found.job, found.epoch, found.what) == (search.id, 2, "alphas")


def test_a_search_that_goes_on_can_be_the_source(bench: Bench) -> None:
    job = bench.submit(**SMALL)
    with pytest.raises(ProblemError, match="has no finished epoch yet") as refused:
        start(bench, job, {"what": "alphas"})
    assert refused.value.status == 409
    with pytest.raises(ProblemError, match="has no checkpoint yet"):
        start(bench, job, {})
    bench.claim().report(1)
    assert start(bench, job, {}).spec["init_from"]["epoch"] == 1


@pytest.mark.parametrize(
    ("init_from", "fields", "place", "message"),
    [
        ({"epoch": 2}, {}, "init_from.epoch", "no checkpoint of epoch 2 is kept; kept: 3; alphas there are of every"),
        ({"epoch": 9, "what": "alphas"}, {}, "init_from.epoch", "9 has not ended: .* of epochs 1 to 3"),
        ({"epoch": 0}, {}, "init_from.epoch", "greater than or equal to 1"),
        ({"what": "optimiser"}, {}, "init_from.what", "allowed: weights, alphas, all"),
        ({"checksum": "a" * 64}, {}, "init_from.checksum", "the state of epoch 3 is now .*: leave it out"),
        ({"job": "latest"}, {}, "init_from.job", "must be an id"),
        ({"path": "x.pt"}, {}, "init_from.path", "unknown field"),
        ({}, {"channels": 4}, "channels", "is 4, in init_from's job 8: give the same"),
        ({"what": "alphas"}, {"nodes": 3}, "nodes", "is 3, in init_from's job 2"),
        ({}, {"dataset": "cifar10"}, "dataset", "10 classes and 3 channels, that of init_from's job .* 1 channels"),
        ({"what": "all"}, {"method": "rsps"}, "init_from.what", "rsps trains no alphas: give weights"),
    ],
)
def test_what_cannot_start_is_refused_by_name(
    http: httpx.Client,
    bench: Bench,
    search: JobOut,
    init_from: dict[str, Any],
    fields: dict[str, Any],
    place: str,
    message: str,
) -> None:
    with pytest.raises(ProblemError, match=f"{place}: .*{message}") as refused:
        start(bench, search, init_from, **fields)
    assert refused.value.status == 422


def test_weights_fit_other_images_of_the_same_form_and_alphas_any(bench: Bench, search: JobOut) -> None:
    assert start(bench, search, {"what": "alphas"}, dataset="cifar100").spec["dataset"] == "cifar100"
    assert start(bench, search, {}, dataset="fashion-mnist", stem="cifar").spec["dataset"] == "fashion-mnist"


def test_jobs_of_other_kinds_and_unknown_ones_are_no_sources(bench: Bench, search: JobOut) -> None:
    study = bench.dartboard.submit("study", {"search": {"dataset": "digits"}, "seeds": [0, 1], "pool": bench.pool})
    bench.dartboard.cancel(study.id)
    with pytest.raises(ProblemError, match=r"init_from.job: is of kind study: give a search or an evaluation"):
        start(bench, study, {})
    with pytest.raises(ProblemError, match="no job") as unknown:
        start(bench, search, {"job": str(uuid4())})
    assert unknown.value.status == 404


@pytest.fixture
def evaluation(bench: Bench) -> JobOut:
    """With 3 epochs, the second of which is the best."""
    job = evaluate(bench, epochs=3)
    training = bench.claim()
    training.report(1)
    training.report(2, b"the best", validation_accuracy=90.0)
    training.report(3)
    training.finish()
    return bench.dartboard.wait(job)


def evaluate(bench: Bench, **fields: Any) -> JobOut:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "pool": bench.pool, "channels": 8, "layers": 3, **fields}
    return bench.dartboard.submit("evaluation", body)


def test_an_evaluation_starts_from_the_best_checkpoint_of_another_one_and_resumes_from_its_own(
    bench: Bench, evaluation: JobOut
) -> None:
    job = evaluate(bench, epochs=2, init_from={"job": str(evaluation.id)})
    checksum = hashlib.sha256(b"the best").hexdigest()
    start = {"job": str(evaluation.id), "epoch": 2, "what": "weights", "checksum": checksum}
    assert job.spec["init_from"] == start
    bench.dartboard.delete(evaluation.id)
    first = bench.claim()
    assert (first.claimed.resume, given_to(first)) == (None, (SOURCE, b"the best"))
    first.report(1)
    first.attempt.release(Release(n=first.number(), reason="shutdown"))
    second = bench.claim()
    assert second.resume.epoch == 1
    second.report(2)
    second.finish()
    assert bench.dartboard.wait(job).status == "succeeded"


def test_an_evaluation_inherits_the_last_checkpoint_of_a_search(bench: Bench) -> None:
    search = bench.submit(**{**SMALL, "nodes": 4})
    training = bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch)
    training.finish()
    start = {"job": str(search.id)}
    job = evaluate(bench, init_from=start, layers=9)
    assert (job.spec["init_from"]["epoch"], job.spec["init_from"]["what"]) == (3, "weights")
    assert job.links["search"] == f"/searches/{search.id}"
    found = evaluate(bench, genotype=None, search_id=str(search.id), epoch=1, init_from=start)
    assert found.spec["init_from"]["epoch"] == 3
    for fields, message in (
        ({"channels": 16}, "channels: is 16, in init_from's job 8: give the same"),
        (
            {"init_from": {**start, "epoch": 1}},
            "init_from.epoch: no checkpoint of epoch 1 is kept",
        ),
        ({"genotype": "NASNet"}, "genotype: "),
        ({"init_from": {**start, "what": "all"}}, "init_from.what: 'all' is for searches"),
    ):
        with pytest.raises(ProblemError, match=message) as refused:
            evaluate(bench, **{"init_from": start, **fields})
        assert refused.value.status == 422


def test_an_evaluation_of_another_cell_and_a_search_start_from_no_evaluation(bench: Bench, evaluation: JobOut) -> None:
    start = {"job": str(evaluation.id)}
    with pytest.raises(ProblemError, match="genotype: is not the cell of init_from's job"):
        evaluate(bench, genotype="DARTS_V1", init_from=start)
    with pytest.raises(ProblemError, match=r"init_from.job: is of kind evaluation: a search starts from a search"):
        bench.submit(**SMALL, init_from=start)


def test_the_command_starts_an_evaluation(bench: Bench, http: httpx.Client, evaluation: JobOut) -> None:
    fields = [f"--set=pool={bench.pool}", "--dataset=digits", "--channels=8", "--layers=3", "--detach", "--json"]
    command = ["evaluate", "DARTS_V2", "--init-from", f"{evaluation.id}@3", *fields, "--url", str(http.base_url)]
    job = json.loads(CliRunner().invoke(app, command).stdout)
    assert job["spec"]["init_from"]["epoch"] == 3


@pytest.mark.parametrize(
    ("kind", "body", "place"),
    [
        ("study", {"search": {"dataset": "digits"}, "seeds": [0, 1]}, "search"),
        ("study", {"search": {"dataset": "digits"}, "seeds": [0, 1]}, "final"),
        ("committee", {"search": {"dataset": "digits"}, "spaces": ["darts", "s2"]}, "evaluation"),
    ],
)
def test_children_of_a_composite_job_start_from_no_job(
    bench: Bench, search: JobOut, kind: str, body: dict[str, Any], place: str
) -> None:
    part = {**body.get(place, {}), "init_from": {"job": str(search.id)}}
    with pytest.raises(ProblemError, match=f"{place}.init_from: is for a search or an evaluation alone"):
        bench.dartboard.submit(kind, {**body, place: part, "pool": bench.pool})


def test_the_command_starts_a_search(bench: Bench, dartboard: Dartboard, http: httpx.Client, search: JobOut) -> None:
    def run(*arguments: str) -> Any:
        sizes = [f"--set={name}={value}" for name, value in SMALL.items()]
        url = ("--url", str(http.base_url), f"--set=pool={bench.pool}", "--detach", "--json")
        return CliRunner().invoke(app, ["search", *sizes, *arguments, *url])

    done = run("--init-from", f"{search.id}@2", "--init-what", "alphas")
    spec = json.loads(done.stdout)["spec"]["init_from"]
    assert (spec["job"], spec["epoch"], spec["what"]) == (str(search.id), 2, "alphas")
    whole = json.loads(run("--init-from", str(search.id)).stdout)["spec"]["init_from"]
    assert (whole["epoch"], whole["what"]) == (3, "all")
    for arguments, message in (
        (["--init-what", "alphas"], "goes with --init-from"),
        (["--init-from", f"{search.id}@best"], "'best' is not an epoch"),
    ):
        refused = run(*arguments)
        assert refused.exit_code == 2
        assert message in refused.stderr
