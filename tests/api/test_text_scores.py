"""Scores of language models: the measured text, and the stored figures."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.schemas.jobs import JobOut
from api.schemas.scores import TextScoreResult
from api.schemas.worker import EpochReport
from tests.support.service import Bench

RESULT = TextScoreResult(words=90, vocabulary=12, unknown=3, columns=10)


@pytest.fixture
def evaluation(bench: Bench) -> JobOut:
    body = {"family": "rnn", "dataset": "python-docs", "genotype": "DARTS_V1", "epochs": 1, "test_batch_size": 10}
    job = bench.dartboard.submit("evaluation", {**body, "pool": bench.pool})
    training = bench.claim()
    training.report(1, b"a language model")
    training.finish()
    return job


def test_a_score_is_made_for_the_text_and_columns_that_the_evaluation_tested_on(
    bench: Bench, evaluation: JobOut
) -> None:
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    assert (score.spec["family"], score.spec["dataset"], score.spec["batch_size"]) == ("rnn", "python-docs", 10)
    assert score.spec["text_checksum"] == evaluation.spec["text_checksum"]
    assert score.spec["text_version"] == evaluation.spec["text_version"]


def test_a_scores_result_is_stored_and_told(bench: Bench, http: httpx.Client, evaluation: JobOut) -> None:
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    training = bench.claim()
    path = training.folder / "logits.safetensors"
    path.write_bytes(b"words")
    metrics = {"test_loss": 4.0, "test_perplexity": 54.6}
    sha256 = training.attempt.upload(path).sha256
    report = EpochReport(
        n=training.number(), epoch=1, metrics=metrics, seconds=1.0, result=RESULT, checkpoint=path.name, sha256=sha256
    )
    training.attempt.report_epoch(report)
    training.finish()
    ended = bench.dartboard.wait(score)
    assert (ended.status, ended.metrics, ended.result) == ("succeeded", metrics, RESULT.model_dump())
    assert http.get(score.links["logits"]).content == b"words"


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"family": "cnn"}, "family", "of family 'rnn'"),
        ({"dataset": "digits"}, "dataset", "known: python-docs, ptb, wikitext-2"),
        ({"dataset_checksum": "0" * 64}, "dataset_checksum", "is not for a checkpoint of family 'rnn'"),
    ],
)
def test_fields_that_do_not_fit_a_language_model_are_refused(
    http: httpx.Client, evaluation: JobOut, body: dict[str, Any], field: str, says: str
) -> None:
    answer = http.post("/scores", json={"evaluation_id": str(evaluation.id), **body})
    assert answer.status_code == 422
    [error] = [e for e in answer.json()["errors"] if field in e["loc"]]
    assert says in error["msg"]
