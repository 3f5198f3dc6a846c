"""Predictions: a model tried on one image or text, as a job."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.schemas.predictions import Candidate, PredictionResult
from api.schemas.worker import EpochReport
from tests.support.checkpoint_files import ours
from tests.support.service import Bench

IMAGE = base64.b64encode(b"an image").decode()


@pytest.fixture
def model(bench: Bench, tmp_path: Path) -> str:
    """Of images, with one version."""
    name = f"pets-{uuid4().hex[:8]}"
    (tmp_path / "x.pt").write_bytes(ours())
    bench.dartboard.add_model(name, bench.dartboard.upload_checkpoint(tmp_path / "x.pt").id)
    return name


def test_a_worker_gets_the_file_and_the_image_and_its_result_is_told(
    bench: Bench, model: str, tmp_path: Path, http: httpx.Client
) -> None:
    (tmp_path / "image.png").write_bytes(b"an image")
    job = bench.dartboard.predict(model, image=tmp_path / "image.png", pool=bench.pool, top=2)
    assert (job.kind, job.spec["model"], job.spec["version"], job.spec["top"]) == ("prediction", model, 1, 2)
    attempt = bench.claim()
    files = {given.name: given for given in attempt.claimed.inputs}
    assert files.keys() == {"given.pt", "image"}
    attempt.attempt.download(files["image"], tmp_path / "arrived")
    assert (tmp_path / "arrived").read_bytes() == b"an image"
    path = attempt.folder / "prediction.json"
    path.write_bytes(b"{}")
    result = PredictionResult(candidates=[Candidate(label="cat", probability=0.75)])
    attempt.attempt.report_epoch(
        EpochReport(
            n=attempt.number(),
            epoch=1,
            metrics={"probability": 0.75},
            seconds=0.5,
            result=result,
            checkpoint=path.name,
            sha256=attempt.attempt.upload(path).sha256,
        )
    )
    attempt.finish()
    ended = bench.dartboard.wait(job)
    assert (ended.status, ended.result) == ("succeeded", result.model_dump())
    bench.dartboard.remove_model(model)
    assert http.get(f"/predictions/{job.id}").json()["result"] == result.model_dump()


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({}, 422, "image: is required"),
        ({"image": IMAGE, "text": "the cat"}, 422, "text: is not taken"),
        ({"text": "the cat"}, 422, "image: is required"),
        ({"image": "no base64!"}, 422, "image"),
        ({"image": IMAGE, "version": "7"}, 404, "has no version '7'"),
        ({"image": IMAGE, "model": "no-such-model"}, 404, "no-such-model"),
        ({"image": IMAGE, "top": 0}, 422, "top"),
        ({"image": IMAGE, "words": 1000}, 422, "words"),
        ({"image": "A" * 960_000}, 422, "image"),
    ],
)
def test_a_bad_request_names_its_field(
    http: httpx.Client, bench: Bench, model: str, fields: dict[str, Any], status: int, says: str
) -> None:
    answer = http.post("/predictions", json={"model": model, "pool": bench.pool, **fields})
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert bench.nothing_to_claim()


def test_a_prediction_is_no_part_of_a_lineage(bench: Bench, model: str, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"an image")
    job = bench.dartboard.predict(model, image=tmp_path / "image.png", pool=bench.pool)
    for start in (bench.dartboard.model_version(model).id, job.spec["dataset"]):
        assert str(job.id) not in {node.id for node in bench.dartboard.lineage(start).nodes}
