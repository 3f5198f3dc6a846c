"""Ensembles through the service: members, the worker's input files, results."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.schemas.ensembles import EnsembleResult
from api.schemas.jobs import Failure, JobOut
from api.schemas.worker import EpochReport, Fail, ReportedFile
from tests.support.checkpoint_files import ours
from tests.support.service import Bench, Service, SimulatedAttempt

FIGURES = {"accuracy": 75.0, "loss": 0.5}
MEMBER = {"epoch": 1, "chosen": True, "weight": 1.0, "test": FIGURES, "validation": None}
RESULT = EnsembleResult.model_validate(
    {
        "test": {"part": "test", "count": 360, "of": 360},
        "validation": None,
        "members": [MEMBER, MEMBER],
        "committee": {"test": FIGURES, "validation": None},
        "plain": {"test": FIGURES, "validation": None},
        "gain": 0.0,
        "disagreement": [[0.0, 5.0], [5.0, 0.0]],
        "selection": None,
        "curve": None,
        "classes": [str(i) for i in range(10)],
        "vocabulary": None,
    }
)


def evaluated(bench: Bench, dataset: str = "digits", epochs: int = 1, name: str = "one", **fields: Any) -> JobOut:
    body = {"dataset": dataset, "genotype": "DARTS_V2", "epochs": epochs, "pool": bench.pool, **fields}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    for epoch in range(1, epochs + 1):
        training.report(epoch, f"{name}, epoch {epoch}".encode(), validation_accuracy=90.0 - epoch)
    training.finish()
    return job


def of(*jobs: JobOut) -> list[dict[str, str]]:
    return [{"evaluation_id": str(job.id)} for job in jobs]


def made(bench: Bench, members: list[dict[str, str]], **fields: Any) -> JobOut:
    return bench.dartboard.submit("ensemble", {"members": members, "pool": bench.pool, **fields})


def scored(bench: Bench, **body: Any) -> JobOut:
    score = bench.dartboard.submit("score", {**body, "pool": bench.pool})
    training = bench.claim()
    report(training, {"test_accuracy": 1.0}, None, main="logits.safetensors")
    training.finish()
    return score


def report(
    training: SimulatedAttempt,
    metrics: dict[str, float],
    result: EnsembleResult | None,
    *,
    main: str,
    more: str | None = None,
) -> None:
    sums = {}
    for name in (main, more):
        if name is not None:
            (training.folder / name).write_bytes(f"content of {name}".encode())
            sums[name] = training.attempt.upload(training.folder / name).sha256
    training.attempt.report_epoch(
        EpochReport(
            n=training.number(),
            epoch=1,
            metrics=metrics,
            seconds=1.0,
            result=result,
            checkpoint=main,
            sha256=sums[main],
            files=[ReportedFile(name=more, sha256=sums[more])] if more else [],
        )
    )


def given_to(training: SimulatedAttempt) -> dict[str, bytes]:
    found = {}
    for given in training.claimed.inputs:
        training.attempt.download(given, training.folder / given.name)
        found[given.name] = (training.folder / given.name).read_bytes()
    return found


def test_a_whole_ensemble_is_stored_and_told(bench: Bench, http: httpx.Client) -> None:
    job = made(bench, of(evaluated(bench), evaluated(bench)), name="both")
    assert (job.spec["dataset"], job.spec["combine"], job.spec["epochs"]) == ("digits", "sum", 1)
    assert [http.get(job.links[file]).status_code for file in ("checkpoint", "logits")] == [409, 409]
    training = bench.claim()
    report(training, {"test_accuracy": 75.0}, RESULT, main="ensemble.pt", more="logits.safetensors")
    training.finish()
    ended = bench.dartboard.wait(job)
    assert (ended.status, ended.metrics, ended.result) == ("succeeded", {"test_accuracy": 75.0}, RESULT.model_dump())
    assert http.get(job.links["checkpoint"]).content == b"content of ensemble.pt"
    assert http.get(job.links["logits"]).content == b"content of logits.safetensors"
    kinds = [e.kind for e in bench.dartboard.follow(job)]
    assert kinds == ["status", "status", "epoch", "checkpoint", "status", "end"]


def test_its_file_is_resumable_has_an_etag_and_the_jobs_name(bench: Bench, http: httpx.Client) -> None:
    job = made(bench, of(evaluated(bench), evaluated(bench)), name="my committee")
    training = bench.claim()
    report(training, {"test_accuracy": 75.0}, RESULT, main="ensemble.pt", more="logits.safetensors")
    training.finish()
    head = http.head(job.links["checkpoint"])
    assert head.headers["Content-Disposition"].endswith('filename="my-committee.pt"')
    part = http.get(job.links["checkpoint"], headers={"Range": "bytes=11-"})
    assert (part.status_code, part.content) == (206, b"ensemble.pt")
    known = {"If-None-Match": head.headers["ETag"]}
    assert http.get(job.links["checkpoint"], headers=known).status_code == 304


def test_the_epochs_that_take_part_can_be_chosen(bench: Bench) -> None:
    first, second = evaluated(bench, epochs=2, name="a"), evaluated(bench, epochs=2, name="b")
    members = [{"evaluation_id": str(first.id), "epoch": "last"}, {"evaluation_id": str(second.id)}]
    job = made(bench, members)
    assert [member["epoch"] for member in job.spec["members"]] == [2, 1]
    assert given_to(bench.claim()) == {"member-0.pt": b"a, epoch 2", "member-1.pt": b"b, epoch 1"}


def test_a_members_file_outlives_its_evaluation(bench: Bench) -> None:
    first, second = evaluated(bench, name="a"), evaluated(bench, name="b")
    made(bench, of(first, second))
    bench.dartboard.delete(first.id)
    assert given_to(bench.claim())["member-0.pt"] == b"a, epoch 1"


def test_a_score_gives_its_checkpoint_and_its_logits(bench: Bench) -> None:
    first, second = evaluated(bench, name="a"), evaluated(bench, name="b")
    score = scored(bench, evaluation_id=str(first.id))
    job = made(bench, [{"score_id": str(score.id)}, *of(second)])
    assert job.spec["members"][0]["score_id"] == str(score.id)
    assert given_to(bench.claim()) == {
        "member-0.pt": b"a, epoch 1",
        "member-0.safetensors": b"content of logits.safetensors",
        "member-1.pt": b"b, epoch 1",
    }


def test_a_curve_takes_the_epochs_that_all_members_kept(bench: Bench) -> None:
    first = evaluated(bench, epochs=4, name="a", checkpoint_every=1)
    second = evaluated(bench, epochs=4, name="b", checkpoint_every=2)
    members = [{"evaluation_id": str(job.id), "epoch": "last"} for job in (first, second)]
    job = made(bench, members, curve=True)
    assert job.spec["curve"] == [1, 2, 4]
    # The members themselves are of epoch 4: those files need not come twice.
    assert sorted(given_to(bench.claim())) == [
        "member-0-epoch-1.pt",
        "member-0-epoch-2.pt",
        "member-0.pt",
        "member-1-epoch-1.pt",
        "member-1-epoch-2.pt",
        "member-1.pt",
    ]


def test_a_lost_worker_and_a_retry_get_the_same_files_again(bench: Bench) -> None:
    job = made(bench, of(evaluated(bench, name="a"), evaluated(bench, name="b")))
    bench.claim().attempt.fail(Fail(outcome="lost", error=Failure(type="WorkerLost", message="killed")))
    second = bench.claim()
    report(second, {"test_accuracy": 75.0}, RESULT, main="ensemble.pt", more="logits.safetensors")
    second.attempt.fail(Fail(outcome="failed", error=Failure(type="X", message="after its report")))
    bench.dartboard.retry(job.id)
    third = bench.claim()
    assert given_to(third) == {"member-0.pt": b"a, epoch 1", "member-1.pt": b"b, epoch 1"}
    assert third.claimed.resume is None
    report(third, {"test_accuracy": 75.0}, RESULT, main="ensemble.pt", more="logits.safetensors")
    third.finish()
    assert bench.dartboard.job(job.id).status == "succeeded"


def test_a_report_whose_further_file_is_missing_is_refused(bench: Bench) -> None:
    from worker.api_client import SupersededError

    made(bench, of(evaluated(bench), evaluated(bench)))
    training = bench.claim()
    path = training.folder / "ensemble.pt"
    path.write_bytes(b"x")
    told = EpochReport(
        n=1,
        epoch=1,
        metrics={},
        seconds=1.0,
        checkpoint="ensemble.pt",
        sha256=training.attempt.upload(path).sha256,
        files=[ReportedFile(name="logits.safetensors", sha256="0" * 64)],
    )
    with pytest.raises(SupersededError, match=r"logits.safetensors has not been uploaded"):
        training.attempt.report_epoch(told)


def test_a_deleted_ensemble_takes_its_own_files_alone_with_it(bench: Bench, service: Service) -> None:
    first, second = evaluated(bench), evaluated(bench)
    job = made(bench, of(first, second))
    bench.dartboard.cancel(job.id)
    bench.dartboard.delete(job.id)
    assert not (service.data / "artifacts" / str(job.id)).exists()
    assert list((service.data / "artifacts" / str(first.id)).rglob("*.pt"))


def test_the_same_key_and_body_answer_the_first_ensemble(bench: Bench) -> None:
    members, key = of(evaluated(bench), evaluated(bench)), str(uuid4())
    body = {"members": members, "pool": bench.pool}
    first = bench.dartboard.submit("ensemble", body, idempotency_key=key)
    assert bench.dartboard.submit("ensemble", body, idempotency_key=key).id == first.id


def test_an_ensembles_own_files_are_no_checkpoints_to_score(bench: Bench, http: httpx.Client) -> None:
    made(bench, of(evaluated(bench), evaluated(bench)))
    [given, _] = bench.claim().claimed.inputs
    answer = http.post("/scores", json={"checkpoint_id": given.file.removesuffix(".pt")})
    assert (answer.status_code, "is a file of the ensemble" in answer.json()["detail"]) == (409, True)


def test_an_ensembles_file_is_refused_as_an_upload_with_the_way_out(http: httpx.Client) -> None:
    answer = http.post("/checkpoints", files={"file": ("all.pt", ours(kind="ensemble"))})
    assert (answer.status_code, "all.pt is an ensemble: upload" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("bad", "status", "says"),
    [
        ({}, 422, "members.1: evaluation_id: give exactly one of evaluation_id, checkpoint_id, score_id"),
        ({"evaluation_id": str(uuid4()), "score_id": str(uuid4())}, 422, "members.1"),
        ({"evaluation_id": str(uuid4())}, 404, "members.1: no evaluation"),
        ({"checkpoint_id": str(uuid4())}, 404, "members.1: no checkpoint"),
        ({"score_id": str(uuid4())}, 404, "members.1: no score"),
        ({"checkpoint_id": str(uuid4()), "epoch": "best"}, 422, "members.1: epoch"),
        ({"evaluation_id": str(uuid4()), "colour": 1}, 422, "colour"),
    ],
)
def test_a_bad_member_is_refused_with_its_place(
    bench: Bench, http: httpx.Client, bad: dict[str, Any], status: int, says: str
) -> None:
    answer = http.post("/ensembles", json={"members": [*of(evaluated(bench)), bad]})
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def test_members_of_other_classes_are_refused_with_their_place(bench: Bench, http: httpx.Client) -> None:
    members = of(evaluated(bench), evaluated(bench, "cifar100"))
    answer = http.post("/ensembles", json={"members": members, "dataset": "digits"})
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [["body", "members", 1]]
    assert "has 100 classes, digits has 10" in answer.json()["detail"]


def test_members_of_images_of_other_channels_are_refused_with_their_place(bench: Bench, http: httpx.Client) -> None:
    members = of(evaluated(bench), evaluated(bench, "cifar10"))
    answer = http.post("/ensembles", json={"members": members, "dataset": "digits"})
    assert answer.status_code == 422
    assert "members.1: takes images of 3 channels (cifar10), digits has 1" in answer.json()["detail"]


def test_members_of_several_data_sets_need_one_to_be_named(bench: Bench, http: httpx.Client) -> None:
    answer = http.post("/ensembles", json={"members": of(evaluated(bench, "cifar10"), evaluated(bench))})
    assert answer.status_code == 422
    assert "members.1: is of digits, others of cifar10: set `dataset`" in answer.json()["detail"]


def test_a_scores_logits_of_other_data_are_refused(bench: Bench, http: httpx.Client) -> None:
    first, second = evaluated(bench), evaluated(bench, "fashion-mnist")
    score = scored(bench, evaluation_id=str(second.id))
    members = [*of(first), {"score_id": str(score.id)}]
    answer = http.post("/ensembles", json={"members": members, "dataset": "digits"})
    assert answer.status_code == 422
    assert "members.1: its score kept logits of fashion-mnist, not of digits" in answer.json()["detail"]


def test_a_score_that_has_not_ended_is_409(bench: Bench, http: httpx.Client) -> None:
    first = evaluated(bench)
    score = bench.dartboard.submit("score", {"evaluation_id": str(first.id), "pool": "unserved"})
    answer = http.post("/ensembles", json={"members": [*of(first), {"score_id": str(score.id)}]})
    assert (answer.status_code, "members.1: the score" in answer.json()["detail"]) == (409, True)


def test_members_of_both_families_are_refused(bench: Bench, http: httpx.Client) -> None:
    text: dict[str, Any] = {"family": "rnn", "genotype": "DARTS_V1", "test_batch_size": 10}
    members = of(evaluated(bench), evaluated(bench, "python-docs", **text))
    answer = http.post("/ensembles", json={"members": members})
    assert (answer.status_code, "members.1: is of family 'rnn'" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"combine": "vote"}, "combine"),
        ({"select": {"best": 0}}, "select.best"),
        ({"family": "rnn"}, "family: the members are of family 'cnn'"),
        ({"text_checksum": "0" * 64}, "text_checksum: is not for members of family 'cnn'"),
        ({"dataset": "nothing"}, "dataset"),
    ],
)
def test_a_field_that_does_not_fit_is_refused(
    bench: Bench, http: httpx.Client, fields: dict[str, Any], says: str
) -> None:
    answer = http.post("/ensembles", json={"members": of(evaluated(bench), evaluated(bench)), **fields})
    assert (answer.status_code, says in answer.json()["detail"]) == (422, True), answer.text


def test_a_curve_of_an_upload_is_refused(bench: Bench, http: httpx.Client) -> None:
    uploaded = http.post("/checkpoints", files={"file": ("my.pt", ours())}).json()["id"]
    members = [*of(evaluated(bench)), {"checkpoint_id": uploaded}]
    answer = http.post("/ensembles", json={"members": members, "curve": True})
    assert (answer.status_code, "curve: members.1 is not an evaluation" in answer.json()["detail"]) == (422, True)


def test_an_ensemble_of_language_models_is_mixed_in_the_columns_that_they_test_with(bench: Bench) -> None:
    text: dict[str, Any] = {"family": "rnn", "genotype": "DARTS_V1", "test_batch_size": 10}
    first = evaluated(bench, "python-docs", **text)
    job = made(bench, of(first, evaluated(bench, "python-docs", **text)))
    assert (job.spec["family"], job.spec["combine"], job.spec["batch_size"]) == ("rnn", "mean", 10)
    assert job.spec["text_checksum"] == first.spec["text_checksum"]


def test_logits_of_language_models_are_not_summed(bench: Bench, http: httpx.Client) -> None:
    text: dict[str, Any] = {"family": "rnn", "genotype": "DARTS_V1", "test_batch_size": 10}
    job = evaluated(bench, "python-docs", **text)
    answer = http.post("/ensembles", json={"members": of(job, job), "combine": "sum"})
    assert (answer.status_code, "give mean or fitted" in answer.json()["detail"]) == (422, True)
