"""The main job with a recurrent cell: search, retrain, download, use; a killed worker costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import torch
from safetensors.torch import load_file

from api.schemas.datasets import DatasetOut
from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.genotypes import parse
from tests.support.archives import tar_of
from tests.support.same_bits import assert_same_bits
from tests.support.small_search import until

SMALL: Final[dict[str, Any]] = {"family": "rnn", "epochs": 2, "hidden_size": 8}
SEARCH: Final[dict[str, Any]] = {**SMALL, "dataset": "python-docs", "nodes": 3, "batch_size": 256}
RETRAINING: Final[dict[str, Any]] = {**SMALL, "batch_size": 64}
# Of a text of a few hundred words.
SEARCH_PETS: Final[dict[str, Any]] = {
    "dataset": "pets-text",
    "epochs": 1,
    "hidden_size": 8,
    "nodes": 2,
    "batch_size": 8,
    "validation_batch_size": 8,
}
RETRAIN_PETS: Final[dict[str, Any]] = {
    "epochs": 1,
    "hidden_size": 8,
    "batch_size": 8,
    "validation_batch_size": 8,
    "test_batch_size": 8,
}


@pytest.fixture(scope="module")
def search(stack: LocalStack) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        return dartboard.wait(dartboard.submit("search", SEARCH))


@pytest.fixture(scope="module")
def evaluation(stack: LocalStack, search: JobOut) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        return dartboard.wait(dartboard.submit("evaluation", {**RETRAINING, "search_id": str(search.id)}))


def test_a_search_streams_each_epochs_recurrent_alphas(dartboard: Dartboard, search: JobOut) -> None:
    assert search.status == "succeeded", search.error
    epochs = [e.data for e in dartboard.follow(search) if e.kind == "epoch"]
    tables = [e["alphas"]["recurrent"] for e in epochs]
    assert [[len(row) for row in table] for table in tables] == [[5] * 6] * 2
    assert tables[0] != tables[1]


def test_the_found_cell_is_the_one_that_is_trained(dartboard: Dartboard, search: JobOut, evaluation: JobOut) -> None:
    found = dartboard.genotype(search.id)
    assert found.family == "rnn"
    assert len(found.recurrent) == 3
    assert parse(evaluation.spec["genotype"], "rnn") == parse(found.text, "rnn")


def test_the_downloaded_checkpoint_has_the_perplexity_that_was_reported(
    dartboard: Dartboard, evaluation: JobOut, tmp_path: Path
) -> None:
    assert evaluation.status == "succeeded", evaluation.error
    assert evaluation.metrics is not None
    path = dartboard.download_checkpoint(evaluation.id, tmp_path, epoch="last")
    command = [sys.executable, "-m", "darts_core.scoring", str(path)]
    scored = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert scored["perplexity"] == pytest.approx(evaluation.metrics["test_perplexity"], rel=1e-6)


def test_a_score_has_the_perplexity_that_was_reported_and_each_words_share_of_it(
    dartboard: Dartboard, evaluation: JobOut, tmp_path: Path
) -> None:
    score = dartboard.wait(dartboard.submit("score", {"evaluation_id": str(evaluation.id), "epoch": "last"}))
    assert score.status == "succeeded", score.error
    assert score.metrics is not None
    assert evaluation.metrics is not None
    assert score.metrics["test_perplexity"] == pytest.approx(evaluation.metrics["test_perplexity"], rel=1e-5)
    found = load_file(dartboard.download_logits(score.id, tmp_path))
    assert score.metrics["test_loss"] == pytest.approx(-found["log_probabilities"].double().mean().item())
    assert score.result is not None
    assert score.result["words"] == len(found["targets"])


@pytest.fixture(scope="module")
def pets(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> DatasetOut:
    line = b"the cat sees the dog and the dog sees the cat\n"
    file = tmp_path_factory.mktemp("pets") / "pets.tar"
    file.write_bytes(tar_of({f"{part}.txt": line * 60 for part in ("train", "valid", "test")}))
    with Dartboard(stack.url) as dartboard:
        dartboard.add_dataset("pets-text", file)
        return dartboard.wait_for_dataset("pets-text")


def test_an_uploaded_text_is_trained_on_and_scored(dartboard: Dartboard, data: Path, pets: DatasetOut) -> None:
    assert pets.state == "ready", pets.error
    body = {**RETRAIN_PETS, "family": "rnn", "dataset": "pets-text", "genotype": "DARTS_V1"}
    evaluation = dartboard.wait(dartboard.submit("evaluation", body))
    assert evaluation.status == "succeeded", evaluation.error
    assert (data / "datasets" / "uploads" / f"{pets.checksum}.safetensors").exists()
    score = dartboard.wait(dartboard.submit("score", {"evaluation_id": str(evaluation.id)}))
    assert score.status == "succeeded", score.error
    assert score.metrics is not None
    assert evaluation.metrics is not None
    assert score.metrics["test_perplexity"] == pytest.approx(evaluation.metrics["test_perplexity"], rel=1e-5)


@pytest.mark.usefixtures("pets")
def test_a_study_chooses_the_cell_of_the_lowest_perplexity_and_trains_that(dartboard: Dartboard) -> None:
    body = {
        "family": "rnn",
        "seeds": [0, 1],
        "search": SEARCH_PETS,
        "short_retrain": RETRAIN_PETS,
        "final": RETRAIN_PETS,
        "final_runs": 2,
    }
    study = dartboard.wait(dartboard.submit("study", body))
    assert study.status == "succeeded", study.error
    assert study.result is not None
    [point] = study.result["points"]
    best = min(point["candidates"], key=lambda candidate: candidate["validation_perplexity"])
    assert point["chosen"]["seed"] == best["seed"]
    [winner] = study.result["winners"]
    assert winner["final"]["metric"] == "test_perplexity"
    finals = [job for job in dartboard.jobs(parent=str(study.id)) if str(job.stage).startswith("final")]
    assert len(finals) == 2
    assert all(parse(job.spec["genotype"], "rnn") == parse(point["chosen"]["genotype"], "rnn") for job in finals)


@pytest.mark.usefixtures("pets")
def test_a_committee_of_two_spaces_mixes_the_probabilities_of_its_members(dartboard: Dartboard) -> None:
    body = {"family": "rnn", "search": SEARCH_PETS, "evaluation": RETRAIN_PETS}
    committee = dartboard.wait(dartboard.submit("committee", body))
    assert committee.status == "succeeded", committee.error
    [child] = [job for job in dartboard.jobs(parent=str(committee.id)) if job.kind == "ensemble"]
    ensemble = dartboard.job(child.id)
    assert ensemble.result is not None
    assert len(ensemble.result["members"]) == 2
    worst = max(member["test"]["perplexity"] for member in ensemble.result["members"])
    assert 1 < ensemble.result["committee"]["test"]["perplexity"] <= worst


def test_an_evaluation_whose_process_is_killed_ends_with_the_same_bits(
    dartboard: Dartboard,
    search: JobOut,
    evaluation: JobOut,
    worker_child: Callable[[], psutil.Process],
    tmp_path: Path,
) -> None:
    job = dartboard.submit("evaluation", {**RETRAINING, "search_id": str(search.id)})
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
    worker_child().kill()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    files = [dartboard.download_checkpoint(i.id, tmp_path / f"{i.id}.pt", epoch="last") for i in (evaluation, ended)]
    ours, theirs = (torch.load(file, weights_only=True) for file in files)
    for part in ("weights", "resume", "metrics"):
        assert_same_bits(ours[part], theirs[part])
