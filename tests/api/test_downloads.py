import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def evaluation(bench: Any) -> Any:
    job = bench.dartboard.submit(
        "evaluation",
        {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 3, "pool": bench.pool, "name": "my cell / 1"},
    )
    training = bench.claim()
    training.report(1, validation_accuracy=70.0)
    training.report(2, CONTENT, validation_accuracy=90.0)
    training.report(3, validation_accuracy=80.0)
    training.finish()
    return job


def test_the_best_checkpoints_etag_is_its_sha256(http: httpx.Client, evaluation: Any) -> None:
    answer = http.get(f"/evaluations/{evaluation.id}/checkpoint")
    digest = hashlib.sha256(CONTENT)
    assert answer.content == CONTENT
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-cell-1-epoch-2.pt"'


def test_best_and_last_are_kept_and_others_named_as_gone(http: httpx.Client, evaluation: Any) -> None:
    listed = http.get(f"/evaluations/{evaluation.id}/checkpoints").json()["items"]
    assert [c["epoch"] for c in listed] == [3, 2]
    assert http.get(f"/evaluations/{evaluation.id}/checkpoint?epoch=last").content == b"checkpoint of epoch 3"
    assert http.get(listed[1]["download"]).content == CONTENT
    gone = http.get(f"/evaluations/{evaluation.id}/checkpoint?epoch=1")
    assert gone.status_code == 404
    assert "kept: 3, 2" in gone.json()["detail"]


def test_head_range_and_if_none_match_work(http: httpx.Client, evaluation: Any) -> None:
    path = f"/evaluations/{evaluation.id}/checkpoint"
    head = http.head(path)
    assert head.headers["Content-Length"] == str(len(CONTENT))
    assert head.headers["Accept-Ranges"] == "bytes"
    part = http.get(path, headers={"Range": "bytes=1000-"})
    assert (part.status_code, part.content) == (206, CONTENT[1000:])
    assert http.get(path, headers={"If-None-Match": head.headers["ETag"]}).status_code == 304


def test_a_range_outside_the_file_is_a_416_problem_and_nonsense_is_no_range(
    http: httpx.Client, evaluation: Any
) -> None:
    path = f"/evaluations/{evaluation.id}/checkpoint"
    outside = http.get(path, headers={"Range": "bytes=99999999-"})
    assert outside.status_code == 416
    assert outside.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert outside.headers["Content-Type"] == "application/problem+json"
    for nonsense in ("bytes=abc", "bytes=9-3", "lines=1-2", "bytes=-"):
        assert http.get(path, headers={"Range": nonsense}).status_code == 200


def test_the_sdk_continues_a_broken_download_and_verifies_it(bench: Any, evaluation: Any, tmp_path: Path) -> None:
    name = "my-cell-1-epoch-2.pt"
    partial = tmp_path / f".{name}.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    partial.write_bytes(CONTENT[:777])
    saved = bench.dartboard.download_checkpoint(evaluation.id, tmp_path)
    assert saved == tmp_path / name
    assert saved.read_bytes() == CONTENT
    assert not partial.exists()


def test_the_sdk_replaces_a_damaged_part_of_full_length(bench: Any, evaluation: Any, tmp_path: Path) -> None:
    partial = tmp_path / f".out.pt.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    partial.write_bytes(CONTENT[::-1])
    assert bench.dartboard.download_checkpoint(evaluation.id, tmp_path / "out.pt").read_bytes() == CONTENT


def test_the_sdk_recovers_from_a_damaged_part(bench: Any, evaluation: Any, tmp_path: Path) -> None:
    partial = tmp_path / f".out.pt.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    partial.write_bytes(b"not the beginning")
    with pytest.raises(Exception, match="checksum"):
        bench.dartboard.download_checkpoint(evaluation.id, tmp_path / "out.pt")
    assert bench.dartboard.download_checkpoint(evaluation.id, tmp_path / "out.pt").read_bytes() == CONTENT
