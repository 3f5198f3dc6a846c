import base64
import hashlib
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.jobs import JobOut
from client.cli import app
from client.errors import ProblemError
from tests.support.checkpoint_files import ours
from tests.support.service import Bench, Service

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def evaluation(bench: Bench) -> JobOut:
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


def test_the_best_checkpoints_etag_is_its_sha256(http: httpx.Client, evaluation: JobOut) -> None:
    answer = http.get(f"/evaluations/{evaluation.id}/checkpoint")
    digest = hashlib.sha256(CONTENT)
    assert answer.content == CONTENT
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-cell-1-epoch-2.pt"'


def test_best_and_last_are_kept_and_others_named_as_gone(http: httpx.Client, evaluation: JobOut) -> None:
    listed = http.get(f"/evaluations/{evaluation.id}/checkpoints").json()["items"]
    assert [c["epoch"] for c in listed] == [3, 2]
    assert http.get(f"/evaluations/{evaluation.id}/checkpoint?epoch=last").content == b"checkpoint of epoch 3"
    assert http.get(listed[1]["download"]).content == CONTENT
    gone = http.get(f"/evaluations/{evaluation.id}/checkpoint?epoch=1")
    assert gone.status_code == 404
    assert "kept: 3, 2" in gone.json()["detail"]


def test_head_range_and_if_none_match_work(http: httpx.Client, evaluation: JobOut) -> None:
    path = f"/evaluations/{evaluation.id}/checkpoint"
    head = http.head(path)
    assert head.headers["Content-Length"] == str(len(CONTENT))
    assert head.headers["Accept-Ranges"] == "bytes"
    part = http.get(path, headers={"Range": "bytes=1000-"})
    assert (part.status_code, part.content) == (206, CONTENT[1000:])
    assert http.get(path, headers={"If-None-Match": head.headers["ETag"]}).status_code == 304


def test_a_range_outside_the_file_is_a_416_problem_and_nonsense_is_no_range(
    http: httpx.Client, evaluation: JobOut
) -> None:
    path = f"/evaluations/{evaluation.id}/checkpoint"
    outside = http.get(path, headers={"Range": "bytes=99999999-"})
    assert outside.status_code == 416
    assert outside.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert outside.headers["Content-Type"] == "application/problem+json"
    for nonsense in ("bytes=abc", "bytes=9-3", "lines=1-2", "bytes=-"):
        assert http.get(path, headers={"Range": nonsense}).status_code == 200


def test_the_sdk_continues_a_broken_download_and_verifies_it(bench: Bench, evaluation: JobOut, tmp_path: Path) -> None:
    name = "my-cell-1-epoch-2.pt"
    partial = tmp_path / f".{name}.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    partial.write_bytes(CONTENT[:777])
    saved = bench.dartboard.download_checkpoint(evaluation.id, tmp_path)
    assert saved == tmp_path / name
    assert saved.read_bytes() == CONTENT
    assert not partial.exists()


def test_the_sdk_replaces_a_damaged_part_of_full_length(bench: Bench, evaluation: JobOut, tmp_path: Path) -> None:
    partial = tmp_path / f".out.pt.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    partial.write_bytes(CONTENT[::-1])
    assert bench.dartboard.download_checkpoint(evaluation.id, tmp_path / "out.pt").read_bytes() == CONTENT


def test_the_sdk_recovers_from_a_damaged_part(bench: Bench, evaluation: JobOut, tmp_path: Path) -> None:
    partial = tmp_path / f".out.pt.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part"
    partial.write_bytes(b"not the beginning")
    with pytest.raises(Exception, match="checksum"):
        bench.dartboard.download_checkpoint(evaluation.id, tmp_path / "out.pt")
    assert bench.dartboard.download_checkpoint(evaluation.id, tmp_path / "out.pt").read_bytes() == CONTENT


def test_a_searchs_kept_checkpoints_are_listed_and_served(bench: Bench, http: httpx.Client, tmp_path: Path) -> None:
    job = bench.submit(name="look", checkpoint_every=2)
    training = bench.claim()
    assert http.get(f"/searches/{job.id}/checkpoint").status_code == 409
    for epoch in (1, 2, 3):
        training.report(epoch)
    listed = http.get(job.links["checkpoints"]).json()["items"]
    assert [c["epoch"] for c in listed] == [3, 2]
    assert http.get(job.links["checkpoint"]).content == b"checkpoint of epoch 3"
    assert http.get(f"/searches/{job.id}/checkpoint?epoch=2").content == b"checkpoint of epoch 2"
    assert "kept: 3, 2" in http.get(f"/searches/{job.id}/checkpoint?epoch=1").json()["detail"]
    assert http.head(f"/searches/{job.id}/checkpoint").headers["Content-Length"] == "21"
    assert bench.dartboard.download(job.id, tmp_path) == tmp_path / "look-epoch-3.pt"
    assert bench.dartboard.download(job.id, tmp_path, epoch="2").read_bytes() == b"checkpoint of epoch 2"


def test_any_id_can_be_downloaded(bench: Bench, http: httpx.Client, tmp_path: Path) -> None:
    uploaded = http.post("/checkpoints", files={"file": ("my.pt", content := ours())}).json()
    assert bench.dartboard.download(uploaded["id"], tmp_path / "uploaded").read_bytes() == content
    score = bench.dartboard.submit("score", {"checkpoint_id": uploaded["id"], "dataset": "digits", "pool": bench.pool})
    assert bench.dartboard.download_checkpoint(score.id, tmp_path / "measured").read_bytes() == content
    search = {"dataset": "digits", "epochs": 1}
    study = bench.dartboard.submit("study", {"search": search, "seeds": [1], "pool": bench.pool})
    with pytest.raises(ProblemError, match="a study has no file of its own: no training of it has ended"):
        bench.dartboard.download(study.id, tmp_path)
    with pytest.raises(ProblemError, match="no checkpoint"):
        bench.dartboard.download("0198c5a0-0000-7000-8000-000000000000", tmp_path)


def test_the_command_downloads_a_searchs_checkpoint(bench: Bench, service: Service, tmp_path: Path) -> None:
    job = bench.submit(epochs=1)
    bench.claim().report(1)
    done = CliRunner().invoke(app, ["download", str(job.id), "-o", str(tmp_path / "a.pt"), "--url", service.url])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.pt").read_bytes() == b"checkpoint of epoch 1"


def test_a_damaged_file_is_500_with_the_cause_and_never_sent(
    http: httpx.Client, evaluation: JobOut, service: Service
) -> None:
    [path] = (service.data / "artifacts" / str(evaluation.id)).rglob("*-epoch-2.pt")
    url = f"/evaluations/{evaluation.id}/checkpoint"
    for damaged, said in ((CONTENT[:-1], f"has {len(CONTENT) - 1:,} bytes"), (b"x" + CONTENT[1:], "has the checksum")):
        path.write_bytes(damaged)
        for headers in ({}, {"Range": "bytes=5-9"}):
            answer = http.get(url, headers=headers)
            assert answer.status_code == 500
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert said in answer.json()["detail"]
    path.write_bytes(CONTENT)
    assert http.get(url).content == CONTENT


@pytest.mark.parametrize("wanted", [f"bytes={'9' * 5000}-", f"bytes=0-{'9' * 5000}", f"bytes=-{'9' * 5000}"])
def test_a_range_of_thousands_of_digits_is_no_range(http: httpx.Client, evaluation: JobOut, wanted: str) -> None:
    answer = http.get(f"/evaluations/{evaluation.id}/checkpoint", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, CONTENT)
