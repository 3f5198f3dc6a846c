"""A damaged or missing checkpoint costs epochs: the job goes on from the newest intact one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.schemas.jobs import JobOut
from api.schemas.worker import PartialReport, Release
from tests.support.service import Bench, Service, SimulatedAttempt
from worker.api_client import DamagedError, SupersededError, UnreachableError
from worker.control import AttemptControl
from worker.input_files import Fetcher


def _file(service: Service, job: JobOut, epoch: int) -> Path:
    [path] = (service.data / "artifacts" / str(job.id)).rglob(f"*-epoch-{epoch}.pt")
    return Path(path)


def _interrupted(bench: Bench, epochs: int = 3, **fields: Any) -> JobOut:
    """A job that keeps each epoch's checkpoint and has been given back after so many epochs."""
    job = bench.submit(epochs=epochs + 1, checkpoint_every=1, **fields)
    training = bench.claim()
    for epoch in range(1, epochs + 1):
        training.report(epoch)
    training.attempt.release(Release(reason="shutdown"))
    return job


def _resumed_from(training: SimulatedAttempt) -> int | None:
    return training.claimed.resume.epoch if training.claimed.resume else None


@pytest.mark.parametrize("damage", ["other bytes", "cut short", "missing"])
def test_a_job_goes_on_from_the_newest_intact_checkpoint(bench: Bench, service: Service, damage: str) -> None:
    job = _interrupted(bench)
    path = _file(service, job, 3)
    match damage:
        case "other bytes":
            path.write_bytes(b"x" * path.stat().st_size)
        case "cut short":
            path.write_bytes(path.read_bytes()[:-1])
        case "missing":
            path.unlink()
    training = bench.claim()
    assert _resumed_from(training) == 2
    [line] = bench.dartboard.logs(job.id)
    assert line.level == "warning"
    assert line.message.startswith("the stored checkpoint of epoch 3 is damaged: it ")
    assert line.message.endswith("; the job resumes from epoch 2")
    training.report(3, b"epoch 3 once more")
    training.report(4)
    training.finish()
    assert [e.epoch for e in bench.dartboard.epochs(job.id)] == [1, 2, 3, 4]


def test_epochs_that_run_again_leave_checkpoints_to_go_on_from(
    bench: Bench, service: Service, http: httpx.Client
) -> None:
    job = _interrupted(bench)
    for epoch in (1, 2, 3):
        _file(service, job, epoch).unlink()
    first = bench.claim()
    assert _resumed_from(first) is None
    first.report(1)
    first.report(2, b"another epoch 2", validation_accuracy=1.0)
    first.attempt.release(Release(reason="shutdown"))
    second = bench.claim()
    assert _resumed_from(second) == 2
    assert http.get(f"/searches/{job.id}/checkpoint?epoch=2").content == b"another epoch 2"
    second.report(3)
    second.report(4)
    second.finish()
    assert [c["epoch"] for c in http.get(f"/searches/{job.id}/checkpoints").json()["items"]] == [4, 3, 2, 1]
    # The first report of an epoch stands, and is told once.
    assert [e.metrics["validation_accuracy"] for e in bench.dartboard.epochs(job.id)] == [50.0] * 4
    assert [e.kind for e in bench.dartboard.follow(job)].count("epoch") == 4


def test_a_checkpoint_in_the_middle_of_an_epoch_that_runs_again_is_kept(bench: Bench, service: Service) -> None:
    job = _interrupted(bench)
    _file(service, job, 3).unlink()
    training = bench.claim()
    (training.folder / "partial-2-5.pt").write_bytes(b"partial")
    stored = training.attempt.upload(training.folder / "partial-2-5.pt")
    training.attempt.report_partial(
        PartialReport(n=training.number(), epoch=2, step=5, checkpoint="partial-2-5.pt", sha256=stored.sha256)
    )
    training.attempt.release(Release(reason="shutdown"))
    resume = bench.claim().claimed.resume
    assert resume is not None
    assert (resume.epoch, resume.step) == (2, 5)


def test_a_checkpoint_behind_an_epoch_that_is_past_is_refused_while_a_later_one_is_intact(bench: Bench) -> None:
    _interrupted(bench)
    training = bench.claim()
    (training.folder / "partial-2-5.pt").write_bytes(b"partial")
    stored = training.attempt.upload(training.folder / "partial-2-5.pt")
    report = PartialReport(n=training.number(), epoch=2, step=5, checkpoint="partial-2-5.pt", sha256=stored.sha256)
    with pytest.raises(SupersededError, match="epoch 3 is the last"):
        training.attempt.report_partial(report)


def test_a_worker_that_gets_a_damaged_file_reports_it_and_takes_the_next_older(
    bench: Bench, service: Service, tmp_path: Path
) -> None:
    job = _interrupted(bench)
    training = bench.claim()
    assert _resumed_from(training) == 3
    _file(service, job, 3).write_bytes(b"damaged now")
    _file(service, job, 2).unlink()
    with pytest.raises(DamagedError, match="has 11 bytes instead of 21"):
        training.attempt.download(training.claimed.resume, tmp_path / "resume.pt")  # type: ignore[arg-type]
    fetched = Fetcher(training.attempt, AttemptControl()).checkpoint(training.claimed.resume, tmp_path / "resume.pt")
    assert fetched is not None
    assert fetched.epoch == 1
    assert (tmp_path / "resume.pt").read_bytes() == b"checkpoint of epoch 1"
    assert "resumes from epoch 1" in bench.dartboard.logs(job.id)[-1].message


def test_a_worker_begins_anew_where_no_checkpoint_is_intact(bench: Bench, service: Service, tmp_path: Path) -> None:
    job = _interrupted(bench, epochs=1)
    training = bench.claim()
    _file(service, job, 1).unlink()
    fetched = Fetcher(training.attempt, AttemptControl()).checkpoint(training.claimed.resume, tmp_path / "resume.pt")
    assert fetched is None
    assert bench.dartboard.logs(job.id)[-1].message.endswith("; the job starts over")


def test_a_damaged_input_is_named_to_its_worker(bench: Bench, service: Service, tmp_path: Path) -> None:
    trained = bench.dartboard.submit(
        "evaluation", {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "pool": bench.pool}
    )
    training = bench.claim()
    training.report(1)
    training.finish()
    score = bench.dartboard.submit("score", {"evaluation_id": str(trained.id), "pool": bench.pool})
    [path] = (service.data / "artifacts" / str(score.id)).rglob("*-given.pt")
    path.unlink()
    measuring = bench.claim()
    with pytest.raises(DamagedError, match="is no longer in the store"):
        Fetcher(measuring.attempt, AttemptControl()).file(measuring.claimed.inputs[0], tmp_path / "given.pt")


def test_a_store_that_cannot_be_read_costs_no_attempt(bench: Bench, service: Service, tmp_path: Path) -> None:
    job = _interrupted(bench)
    path = _file(service, job, 3)
    aside = path.rename(tmp_path / "aside")
    path.symlink_to(path)
    with pytest.raises(UnreachableError, match="503 the artifact store is unavailable"):
        bench.claim()
    waiting = bench.dartboard.job(job.id)
    assert waiting.status == "queued"
    assert "the artifact store is unavailable" in (waiting.status_reason or "")
    path.unlink()
    aside.rename(path)
    assert _resumed_from(bench.claim()) == 3
