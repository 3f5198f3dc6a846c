"""Checkpoints are converted to safetensors once, and hold up no worker."""

from __future__ import annotations

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.service import Bench, Service

_VIEWERS = 12


def slow(seconds: float) -> bytes:
    """A file of torch.save's shape that takes so long to read, about, and holds no weights."""
    # Every None is one instruction to follow; a machine of today follows a million in a second or less.
    program = b"\x80\x02(" + b"N" * int(seconds * 1_000_000) + b"t."
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", program)
    return file.getvalue()


def test_viewers_of_a_file_that_is_slow_to_read_hold_up_no_worker(
    bench: Bench, http: httpx.Client, service: Service
) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 20, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    training.report(1, slow(4))
    path = f"/evaluations/{job.id}/checkpoint?format=safetensors"

    def look() -> httpx.Response:
        return httpx.get(f"{service.url}{path}", timeout=120)

    with ThreadPoolExecutor(_VIEWERS) as viewers:
        began = time.monotonic()
        asked = [viewers.submit(look) for _ in range(_VIEWERS)]
        reports = []
        for epoch in range(2, 20):
            before = time.monotonic()
            training.report(epoch)
            reports.append(time.monotonic() - before)
        answers = [answer.result() for answer in asked]
        conversion = time.monotonic() - began
    assert max(reports) < conversion / 3
    assert {answer.status_code for answer in answers} <= {404, 409}


def test_a_file_that_cannot_be_converted_is_tried_once(bench: Bench, http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    bench.claim().report(1, slow(3))
    took = []
    for _ in range(3):
        began = time.monotonic()
        answer = http.get(f"/evaluations/{job.id}/checkpoint?format=safetensors")
        took.append(time.monotonic() - began)
        assert answer.status_code == 409
        assert "not a checkpoint: it has no weights" in answer.json()["detail"]
    assert max(took[1:]) < took[0] / 4
