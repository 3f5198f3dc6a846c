"""Scores keep the file that they measure and its figures."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.schemas.datasets import DatasetDetail
from api.schemas.jobs import Failure, JobOut
from api.schemas.scores import ScoreResult
from api.schemas.worker import EpochReport, Fail
from darts_core.genotypes import KNOWN, to_json
from tests.support.archives import pets, tar_of
from tests.support.authors import authors_state
from tests.support.checkpoint_files import ours, saved
from tests.support.service import Bench, Service, SimulatedAttempt

RESULT = ScoreResult(images=4, classes=["a", "b"], per_class_accuracy=[50.0, None], confusion=[[1, 1], [0, 2]])


@pytest.fixture
def evaluation(bench: Bench) -> JobOut:
    """With a best epoch 1 and a last one 2."""
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 2, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    training.report(1, b"the best one", validation_accuracy=90.0)
    training.report(2, b"the last one", validation_accuracy=80.0)
    training.finish()
    return job


def report_score(training: SimulatedAttempt) -> None:
    path = training.folder / "logits.safetensors"
    path.write_bytes(b"logits")
    stored = training.attempt.upload(path)
    training.attempt.report_epoch(
        EpochReport(
            n=training.number(),
            epoch=1,
            metrics={"test_accuracy": 75.0, "test_loss": 0.5},
            seconds=2.0,
            result=RESULT,
            checkpoint=path.name,
            sha256=stored.sha256,
        )
    )


def given_to(training: SimulatedAttempt) -> bytes:
    [given] = training.claimed.inputs
    training.attempt.download(given, training.folder / "given.pt")
    return (training.folder / "given.pt").read_bytes()


def test_a_whole_score_is_stored_and_told(bench: Bench, http: httpx.Client, evaluation: JobOut) -> None:
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    assert score.spec["dataset"] == "digits"
    assert score.links["evaluation"] == f"/evaluations/{evaluation.id}"
    assert http.get(score.links["logits"]).status_code == 409
    training = bench.claim()
    report_score(training)
    training.finish()
    ended = bench.dartboard.wait(score)
    assert (ended.status, ended.metrics) == ("succeeded", {"test_accuracy": 75.0, "test_loss": 0.5})
    assert ended.result == RESULT.model_dump()
    assert http.get(score.links["logits"]).content == b"logits"
    kinds = [e.kind for e in bench.dartboard.follow(score)]
    assert kinds == ["status", "status", "epoch", "status", "end"]


@pytest.mark.parametrize(
    ("epoch", "content"), [(None, b"the best one"), ("last", b"the last one"), ("1", b"the best one")]
)
def test_the_epoch_that_is_measured_can_be_chosen(bench: Bench, evaluation: JobOut, epoch: Any, content: bytes) -> None:
    chosen = {} if epoch is None else {"epoch": epoch}
    bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool, **chosen})
    assert given_to(bench.claim()) == content


def test_the_scored_file_outlives_its_evaluation(bench: Bench, evaluation: JobOut) -> None:
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    bench.dartboard.delete(evaluation.id)
    assert given_to(bench.claim()) == b"the best one"
    assert "evaluation" not in bench.dartboard.job(score.id).links


def test_a_lost_worker_and_a_retry_measure_the_same_file_again(bench: Bench, evaluation: JobOut) -> None:
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    bench.claim().attempt.fail(Fail(outcome="lost", error=Failure(type="WorkerLost", message="killed")))
    second = bench.claim()
    report_score(second)
    second.attempt.fail(Fail(outcome="failed", error=Failure(type="X", message="after its report")))
    bench.dartboard.retry(score.id)
    third = bench.claim()
    assert (third.claimed.attempt, given_to(third)) == (3, b"the best one")
    report_score(third)
    third.finish()
    assert bench.dartboard.job(score.id).status == "succeeded"


def test_a_score_can_be_cancelled_and_deleted_with_its_files(
    bench: Bench, service: Service, evaluation: JobOut
) -> None:
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    assert bench.dartboard.cancel(score.id).status == "cancelled"
    bench.dartboard.delete(score.id)
    assert not (service.data / "artifacts" / str(score.id)).exists()
    assert (service.data / "artifacts" / str(evaluation.id)).exists()


def test_an_uploaded_file_and_its_genotype_reach_the_worker(bench: Bench, http: httpx.Client) -> None:
    file = saved(authors_state())
    made = http.post("/checkpoints", files={"file": ("x.pt", file)}, data={"genotype": "DARTS_V2"}).json()
    score = bench.dartboard.submit("score", {"checkpoint_id": made["id"], "pool": bench.pool})
    assert score.spec["dataset"] == "cifar10"
    training = bench.claim()
    http.delete(f"/checkpoints/{made['id']}")
    checkpoint = training.claimed.spec["checkpoint"]
    assert (checkpoint["format"], checkpoint["genotype"]) == ("authors", to_json(KNOWN["DARTS_V2"]))
    assert given_to(training) == file


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 422, "give exactly one of"),
        ({"evaluation_id": str(uuid4()), "checkpoint_id": str(uuid4())}, 422, "give exactly one of"),
        ({"evaluation_id": str(uuid4())}, 404, "no evaluation"),
        ({"checkpoint_id": str(uuid4())}, 404, "no checkpoint"),
        ({"checkpoint_id": str(uuid4()), "epoch": "best"}, 422, "epoch"),
        ({"evaluation_id": str(uuid4()), "epoch": "worst"}, 422, "epoch"),
        ({"evaluation_id": str(uuid4()), "colour": 1}, 422, "colour"),
        ({"evaluation_id": str(uuid4()), "decoder": "turbojpeg"}, 422, "decoder"),
    ],
)
def test_a_bad_score_is_refused_by_name(http: httpx.Client, body: dict[str, Any], status: int, says: str) -> None:
    answer = http.post("/scores", json=body)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def test_a_score_of_an_evaluation_without_a_checkpoint_is_409(bench: Bench, http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "pool": "unserved"}
    job = bench.dartboard.submit("evaluation", body)
    assert http.post("/scores", json={"evaluation_id": str(job.id)}).status_code == 409


def test_a_data_set_of_another_number_of_classes_is_refused(http: httpx.Client, evaluation: JobOut) -> None:
    answer = http.post("/scores", json={"evaluation_id": str(evaluation.id), "dataset": "cifar100"})
    assert answer.status_code == 422
    assert "100 classes" in answer.json()["detail"]


def test_a_decoder_is_refused_for_images_that_the_score_does_not_decode(http: httpx.Client, evaluation: JobOut) -> None:
    answer = http.post("/scores", json={"evaluation_id": str(evaluation.id), "decoder": "torchvision"})
    assert answer.status_code == 422
    assert "decoder: 'torchvision' is for imagenet" in answer.json()["detail"]


def test_the_same_key_and_body_answer_the_first_score_and_leave_no_files(
    bench: Bench, service: Service, evaluation: JobOut
) -> None:
    body, key = {"evaluation_id": str(evaluation.id), "pool": bench.pool}, str(uuid4())
    first = bench.dartboard.submit("score", body, idempotency_key=key)
    before = {p.name for p in (service.data / "artifacts").iterdir()}
    assert bench.dartboard.submit("score", body, idempotency_key=key).id == first.id
    assert {p.name for p in (service.data / "artifacts").iterdir()} == before


def test_the_same_key_answers_the_first_score_when_its_evaluation_is_gone(bench: Bench, evaluation: JobOut) -> None:
    body, key = {"evaluation_id": str(evaluation.id), "pool": bench.pool}, str(uuid4())
    first = bench.dartboard.submit("score", body, idempotency_key=key)
    bench.dartboard.delete(evaluation.id)
    assert bench.dartboard.submit("score", body, idempotency_key=key).id == first.id


def test_a_data_set_whose_name_was_used_anew_has_to_be_named(bench: Bench, http: httpx.Client) -> None:
    name = f"pets-{uuid4().hex[:8]}"

    def bring(first: int) -> DatasetDetail:
        http.post("/datasets", data={"name": name}, files={"file": ("pets.tar", tar_of(pets(first)))})
        return bench.dartboard.wait_for_dataset(name)

    bring(0)
    body = {"dataset": name, "genotype": "DARTS_V2", "epochs": 1, "batch_size": 8, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    training.report(1)
    training.finish()
    bench.dartboard.remove_dataset(name)
    second = bring(900)
    answer = http.post("/scores", json={"evaluation_id": str(job.id), "pool": bench.pool})
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [["body", "dataset"]]
    assert "training data was deleted" in answer.json()["detail"]
    named = http.post("/scores", json={"evaluation_id": str(job.id), "pool": bench.pool, "dataset": name})
    assert named.json()["spec"]["dataset_checksum"] == second.checksum


def test_an_uploaded_checkpoint_is_scored_on_the_data_it_was_trained_on(bench: Bench, http: httpx.Client) -> None:
    name = f"pets-{uuid4().hex[:8]}"
    http.post("/datasets", data={"name": name}, files={"file": ("pets.tar", tar_of(pets(0)))})
    known = bench.dartboard.wait_for_dataset(name)

    def score_of(checksum: str | None) -> httpx.Response:
        file = ours(spec={"dataset": name, "dataset_checksum": checksum}, classes=known.class_names)
        uploaded = http.post("/checkpoints", files={"file": ("my.pt", file)}).json()
        assert uploaded["dataset_checksum"] == checksum
        return http.post("/scores", json={"checkpoint_id": uploaded["id"], "pool": bench.pool})

    assert score_of(known.checksum).json()["spec"]["dataset_checksum"] == known.checksum
    gone = score_of("0" * 64)
    assert gone.status_code == 422
    assert "training data was deleted" in gone.json()["detail"]


def test_lists_leave_the_result_out(bench: Bench, http: httpx.Client, evaluation: JobOut) -> None:
    score = bench.dartboard.submit(
        "score", {"evaluation_id": str(evaluation.id), "pool": bench.pool, "labels": {"pool": bench.pool}}
    )
    training = bench.claim()
    report_score(training)
    training.finish()
    [listed] = http.get(f"/scores?label=pool={bench.pool}").json()["items"]
    assert (listed["id"], listed["result"]) == (str(score.id), None)
