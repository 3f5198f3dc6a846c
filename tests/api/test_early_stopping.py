"""A search that stops before its last epoch, and its workers' warnings, through the service."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.schemas.jobs import Progress
from api.schemas.worker import EpochReport, Heartbeat
from darts_core.genotypes import KNOWN, to_json
from tests.support.service import Bench, EndLease, SimulatedAttempt
from worker.api_client import SupersededError


def stopping(training: SimulatedAttempt, epoch: int, **fields: Any) -> EpochReport:
    """Report an epoch as the last one."""
    path = training.folder / f"epoch-{epoch}.pt"
    path.write_bytes(b"the last checkpoint")
    stored = training.attempt.upload(path)
    report = EpochReport(
        n=training.number(),
        epoch=epoch,
        metrics={"skip_connects": 3.0},
        seconds=2.0,
        genotype=to_json(KNOWN["DARTS_V2"]),
        alphas={"normal": [[0.5, 0.25]], "reduce": [[0.125, float(epoch)]]},
        checkpoint=path.name,
        sha256=stored.sha256,
        **fields,
    )
    training.attempt.report_epoch(report)
    return report


def test_a_search_that_stops_early_succeeds_and_says_why(bench: Bench) -> None:
    job = bench.submit(epochs=50, stop_when={"skip_connects": ">2"})
    training = bench.claim()
    training.report(1)
    stopping(training, 2, stopped_early="skip_connects is 3 (>2)")
    training.finish()
    ended = bench.dartboard.job(job.id)
    assert ended.status == "succeeded"
    assert ended.status_reason == "stopped early after epoch 2 of 50: skip_connects is 3 (>2)"
    assert ended.result == {"stopped_early": {"epoch": 2, "reason": "skip_connects is 3 (>2)"}}


def test_its_progress_is_that_of_a_search_that_is_done_whatever_a_late_heartbeat_says(bench: Bench) -> None:
    job = bench.submit(epochs=50)
    training = bench.claim()
    training.report(1)
    stopping(training, 2, stopped_early="because")
    training.attempt.heartbeat(Heartbeat(progress=Progress(epoch=2, epochs=50, step=7, steps=7, eta_seconds=99)))
    training.finish()
    assert bench.dartboard.job(job.id).progress == Progress(epoch=2, epochs=2, step=7, steps=7, eta_seconds=0)


def test_without_a_reason_a_search_cannot_finish_before_its_last_epoch(bench: Bench) -> None:
    bench.submit(epochs=3)
    training = bench.claim()
    training.report(1)
    with pytest.raises(SupersededError, match="1 of 3 epochs are stored"):
        training.finish()


def test_an_attempt_lost_behind_the_last_epoch_leaves_the_next_one_nothing_but_to_finish(
    bench: Bench, end_lease: EndLease
) -> None:
    job = bench.submit(epochs=50)
    lost = bench.claim("worker-a")
    lost.report(1)
    stopping(lost, 2, stopped_early="because")
    end_lease(lost)
    bench.wait_for_status(job, "queued")
    second = bench.claim("worker-b")
    assert second.resume.epoch == 2
    second.finish()
    assert bench.dartboard.job(job.id).status == "succeeded"


def test_warnings_are_in_the_jobs_log_once_however_often_the_epoch_is_reported(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    report = stopping(training, 1, warnings=["collapse looms: 2 skip connects in the cell"])
    training.attempt.report_epoch(report)
    warned = [line.message for line in bench.dartboard.logs(job.id) if line.level == "warning"]
    assert warned == ["collapse looms: 2 skip connects in the cell"]


def test_a_warning_is_a_log_event_behind_the_epochs_own(bench: Bench) -> None:
    job = bench.submit()
    stopping(bench.claim(), 1, warnings=["collapse looms"])
    bench.dartboard.cancel(job.id)
    kinds = [(e.kind, e.data.get("level")) for e in bench.dartboard.follow(job) if e.kind in ("epoch", "log")]
    assert kinds == [("epoch", None), ("log", "warning")]


@pytest.mark.parametrize(
    ("family", "stop_when", "says"),
    [
        ("cnn", {"skips": ">2"}, "allowed: skip_connects, parameter_free"),
        ("cnn", {"skip_connects": "more"}, "> >= < <="),
        ("cnn", {}, "at least 1"),
        ("rnn", {"skip_connects": ">2"}, "allowed: identities, alpha_entropy"),
    ],
)
def test_a_condition_that_cannot_be_watched_is_refused_on_submission(
    http: httpx.Client, family: str, stop_when: dict[str, str], says: str
) -> None:
    dataset = "digits" if family == "cnn" else "python-docs"
    answer = http.post("/searches", json={"family": family, "dataset": dataset, "stop_when": stop_when})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["loc"][:2] == ["body", "stop_when"]
    assert says in error["msg"]
