"""Checkpoints are converted to safetensors once, and hold up no worker."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.artifacts.local import LocalArtifacts
from api.checkpoints.converter import Converter
from api.http.problems import ProblemError
from api.sandbox import ask
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


def test_a_file_that_cannot_be_converted_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def counted(module: str, order: dict[str, Any], *, stderr: Path, within_seconds: float) -> dict[str, Any]:
        nonlocal tries
        tries += 1
        return await ask(module, order, stderr=stderr, within_seconds=within_seconds)

    async def file() -> AsyncIterator[bytes]:
        yield slow(0.01)

    async def refusals() -> list[str]:
        store = LocalArtifacts(tmp_path, 1 << 30)
        store.prepare()
        converter, stored = Converter(store), await store.put("job/1/a.pt", file(), None)
        found = []
        for _ in range(3):
            with pytest.raises(ProblemError) as caught:
                await converter.converted(stored, "safetensors")
            assert caught.value.status == 409
            found.append(caught.value.detail)
        return found

    monkeypatch.setattr("api.checkpoints.converter.ask", counted)
    first, *others = asyncio.run(refusals())
    assert "not a checkpoint: it has no weights" in first
    assert others == [first, first]
    assert tries == 1
