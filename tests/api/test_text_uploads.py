"""Uploaded texts through a running API: shown with their sizes, named in specs, kept from jobs of images."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from api.schemas.datasets import DatasetDetail
from tests.support.archives import tar_of
from tests.support.service import Bench


def parts(number: int) -> dict[str, bytes]:
    """Another text for each number."""
    line = f"the {number} cat sees the dog\n".encode()
    return {"t/train.txt": line * 200, "t/valid.txt": line * 40, "t/test.txt": b"the bird\n" + line * 40}


@pytest.fixture
def text(bench: Bench, http: httpx.Client) -> DatasetDetail:
    name = f"text-{uuid4().hex[:8]}"
    answer = http.post("/datasets", data={"name": name}, files={"file": ("t.tar", tar_of(parts(uuid4().int)))})
    assert answer.status_code == 201, answer.text
    found = bench.dartboard.wait_for_dataset(name)
    assert found.state == "ready", found.error
    return found


def test_an_uploaded_text_is_shown_with_its_sizes(text: DatasetDetail) -> None:
    assert (text.kind, text.words, text.preset) == ("text", 7, "ptb")
    assert text.sizes is not None
    assert text.unknown is not None
    assert (text.sizes.train, text.sizes.valid, text.sizes.test) == (1400, 280, 283)
    assert text.unknown.test == 1


def test_built_in_texts_are_listed_with_their_kind(http: httpx.Client) -> None:
    listed = {d["name"]: d for d in http.get("/datasets").json()["items"]}
    assert {name for name, d in listed.items() if d["kind"] == "text" and d["source"] == "built-in"} == {
        "python-docs",
        "ptb",
        "wikitext-2",
    }
    assert listed["ptb"]["words"] == 10_000
    assert listed["python-docs"]["sizes"]["train"] > 50_000
    assert http.get("/datasets/python-docs").json()["checksum"] == listed["python-docs"]["checksum"]


def test_a_search_an_evaluation_and_a_score_take_the_text_by_its_name(bench: Bench, text: DatasetDetail) -> None:
    small = {"family": "rnn", "pool": bench.pool, "epochs": 1, "batch_size": 8, "hidden_size": 8}
    search = bench.dartboard.submit("search", {**small, "dataset": text.name})
    assert (search.spec["dataset"], search.spec["text_checksum"]) == (text.name, text.checksum)
    evaluation = bench.dartboard.submit("evaluation", {**small, "dataset": text.name, "genotype": "DARTS_V1"})
    assert evaluation.spec["text_checksum"] == text.checksum
    bench.dartboard.cancel(search.id)
    training = bench.claim()
    training.report(1)
    training.finish()
    score = bench.dartboard.submit("score", {"evaluation_id": str(evaluation.id), "pool": bench.pool})
    assert score.spec["text_checksum"] == text.checksum


def test_the_packed_text_is_there_for_workers(bench: Bench, text: DatasetDetail) -> None:
    job = bench.dartboard.submit("search", {"family": "rnn", "dataset": text.name, "pool": bench.pool, "batch_size": 8})
    training = bench.claim()
    assert training.claimed.job_id == job.id
    assert text.checksum is not None
    training.attempt.download_dataset(text.checksum, training.folder / "text")
    assert b"the bird" in (training.folder / "text").read_bytes()


def test_a_text_that_an_unfinished_job_uses_stays(bench: Bench, http: httpx.Client, text: DatasetDetail) -> None:
    body = {"family": "rnn", "dataset": text.name, "pool": "unserved", "batch_size": 8}
    job = bench.dartboard.submit("search", body)
    assert http.delete(f"/datasets/{text.name}").status_code == 409
    bench.dartboard.cancel(job.id)
    assert http.delete(f"/datasets/{text.name}").status_code == 204
    assert http.post("/searches", json=body).status_code == 422


def test_a_batch_that_the_text_is_too_short_for_is_refused(http: httpx.Client, text: DatasetDetail) -> None:
    answer = http.post("/searches", json={"family": "rnn", "dataset": text.name, "batch_size": 1000})
    assert answer.status_code == 422
    assert "1000 is too large for the 280 words; give at most 93" in answer.json()["detail"]  # of its validation part


def test_texts_and_images_do_not_take_each_others_place(http: httpx.Client, text: DatasetDetail) -> None:
    for dataset in (text.name, "python-docs"):
        answer = http.post("/searches", json={"dataset": dataset})
        assert answer.status_code == 422
        assert "is a text: use it with family rnn" in answer.json()["detail"]
    answer = http.post("/searches", json={"family": "rnn", "dataset": "digits"})
    assert "is a set of images" in answer.json()["detail"]


def test_the_names_of_built_in_texts_are_taken(http: httpx.Client) -> None:
    answer = http.post("/datasets", data={"name": "ptb"}, files={"file": ("t.tar", tar_of(parts(0)))})
    assert answer.status_code == 409
