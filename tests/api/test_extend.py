"""A search or an evaluation is given more epochs, through the service."""

from __future__ import annotations

import pytest

from api.schemas.jobs import Progress
from client.errors import ProblemError
from tests.support.service import Bench, SimulatedAttempt


def trained(bench: Bench, epochs: int) -> SimulatedAttempt:
    training = bench.claim()
    for epoch in range(1, epochs + 1):
        training.report(epoch)
    return training


def test_a_finished_search_goes_on_from_its_last_epoch_with_the_spec_s_history(bench: Bench) -> None:
    job = bench.submit(epochs=2)
    trained(bench, 2).finish()
    extended = bench.dartboard.extend(job.id, 4)
    assert extended.status == "queued"
    assert (extended.status_reason or "").startswith("extended to 4 epochs by request")
    assert extended.spec == {**job.spec, "epochs": 4, "extensions": [{"after": 2, "epochs": 2}]}
    assert extended.finished_at is None
    training = bench.claim()
    assert training.claimed.spec == extended.spec
    assert training.resume.epoch == 2
    training.report(3)
    training.report(4)
    training.finish()
    ended = bench.dartboard.job(job.id)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert [epoch.epoch for epoch in bench.dartboard.epochs(job.id)] == [1, 2, 3, 4]


def test_a_cancelled_search_starts_its_open_epoch_over(bench: Bench) -> None:
    job = bench.submit(epochs=3)
    trained(bench, 1).report_partial(1, 5)
    bench.dartboard.cancel(job.id)
    extended = bench.dartboard.extend(job.id, 6)
    assert extended.spec["extensions"] == [{"after": 1, "epochs": 3}]
    assert extended.progress is not None
    assert (extended.progress.epoch, extended.progress.epochs) == (1, 6)
    resume = bench.claim().resume
    assert (resume.epoch, resume.step) == (1, 0)


def test_a_paused_search_without_an_epoch_only_gets_more_of_them(bench: Bench) -> None:
    job = bench.submit(epochs=3)
    bench.dartboard.pause(job.id)
    extended = bench.dartboard.extend(job.id, 6)
    assert (extended.status, extended.spec["epochs"], extended.spec["extensions"]) == ("queued", 6, [])
    bench.dartboard.cancel(job.id)


@pytest.mark.parametrize("epochs", [1, 2])
def test_fewer_or_as_many_epochs_are_422(bench: Bench, epochs: int) -> None:
    job = bench.submit(epochs=2)
    trained(bench, 2).finish()
    with pytest.raises(ProblemError, match=f"epochs: must be more than the present 2, not {epochs}") as refused:
        bench.dartboard.extend(job.id, epochs)
    assert refused.value.status == 422
    assert bench.dartboard.job(job.id).status == "succeeded"


def test_an_active_search_and_one_that_stopped_early_are_409(bench: Bench) -> None:
    job = bench.submit(epochs=2)
    with pytest.raises(ProblemError, match="cannot extend a job that is queued: possible: cancel or pause") as refused:
        bench.dartboard.extend(job.id, 4)
    assert refused.value.status == 409
    bench.dartboard.cancel(job.id)


def test_other_kinds_are_409(bench: Bench) -> None:
    study = bench.dartboard.submit("study", {"search": {"dataset": "digits"}, "seeds": [0, 1], "pool": bench.pool})
    bench.dartboard.cancel(study.id)
    with pytest.raises(ProblemError, match="cannot extend a study: it has other actions, cancel, pause") as refused:
        bench.dartboard.extend(study.id, 4)
    assert refused.value.status == 409


def test_an_extended_job_stands_among_the_others_with_its_progress(bench: Bench) -> None:
    job = bench.submit(epochs=1)
    trained(bench, 1).finish()
    progress = bench.dartboard.extend(job.id, 3).progress
    assert progress == Progress(epoch=1, epochs=3, step=0, steps=0)
    bench.dartboard.cancel(job.id)
