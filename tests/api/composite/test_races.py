"""A study with the strategy `asha`, of which the test speaks the workers' side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from api.schemas.jobs import JobOut
from api.schemas.worker import Claim, Release
from client.sdk import Dartboard
from tests.support.service import Bench, EndLease, SimulatedAttempt
from tests.support.simulated_worker import SimulatedWorker

STUDY = {
    "seeds": [0, 1],
    "search": {"dataset": "digits"},
    "short_retrain": {"epochs": 1},
    "final": {"epochs": 1},
    "strategy": {"asha": {"eta": 2, "min_epochs": 1, "max_epochs": 4}},
}


@pytest.fixture
def study(dartboard: Dartboard, pool: str) -> Iterator[JobOut]:
    study = dartboard.submit("study", {**STUDY, "pool": pool})
    yield study
    if not dartboard.job(study.id).status.ended:
        dartboard.cancel(study.id)


@pytest.fixture
def claim(bench: Bench, worker: SimulatedWorker) -> Callable[[], SimulatedAttempt]:
    """Claims the next job as soon as the study has queued it."""

    def next_one() -> SimulatedAttempt:
        wanted = Claim(worker="worker-a", pools=[bench.pool], threads=2)
        return SimulatedAttempt(bench.api, worker.until(lambda: bench.api.claim(wanted)), bench.folder)

    return next_one


def stop(training: SimulatedAttempt) -> None:
    training.attempt.release(Release(n=training.number(), reason="pause"))


def statuses(dartboard: Dartboard, study: JobOut) -> list[str]:
    return [child.status for child in dartboard.children(study.id)]


def test_a_search_pauses_after_its_rung_and_the_best_resumes_from_its_checkpoint(
    dartboard: Dartboard, study: JobOut, claim: Callable[[], SimulatedAttempt]
) -> None:
    for accuracy in (40.0, 60.0):
        training = claim()
        assert (training.claimed.pause_after, training.claimed.resume) == (1, None)
        training.report(1, validation_accuracy=accuracy)
        stop(training)
    promoted = claim()
    assert promoted.claimed.spec["seed"] == 1
    assert (promoted.resume.epoch, promoted.claimed.pause_after) == (1, 2)
    assert statuses(dartboard, study) == ["paused", "running"]
    reason = dartboard.children(study.id)[0].status_reason
    assert reason == "waits after epoch 1 for its study's decision"


def test_the_last_search_goes_on_to_the_end_and_the_other_is_cancelled(
    dartboard: Dartboard, study: JobOut, claim: Callable[[], SimulatedAttempt]
) -> None:
    for accuracy in (40.0, 60.0):
        training = claim()
        training.report(1, validation_accuracy=accuracy)
        stop(training)
    for pause_after, epochs in ((2, [2]), (None, [3, 4])):
        training = claim()
        assert training.claimed.pause_after == pause_after
        for epoch in epochs:
            training.report(epoch, validation_accuracy=60.0)
        stop(training) if pause_after else training.finish()
    retraining = claim()
    assert retraining.claimed.kind == "evaluation"
    assert statuses(dartboard, study) == ["cancelled", "succeeded", "running"]


def test_an_attempt_that_is_lost_at_its_rung_is_offered_again_and_trains_no_further(
    study: JobOut, claim: Callable[[], SimulatedAttempt], end_lease: EndLease
) -> None:
    first = claim()
    first.report(1, validation_accuracy=40.0)
    second = claim()
    end_lease(first)
    again = claim()
    assert again.claimed.job_id == first.claimed.job_id
    assert (again.resume.epoch, again.claimed.pause_after) == (1, 1)
    second.report(1, validation_accuracy=60.0)
    stop(second)
    stop(again)
    assert claim().claimed.spec["seed"] == 1


def test_a_paused_study_resumes_without_promoting_what_is_not_due(
    dartboard: Dartboard, study: JobOut, claim: Callable[[], SimulatedAttempt], worker: SimulatedWorker
) -> None:
    first = claim()
    first.report(1, validation_accuracy=40.0)
    stop(first)
    dartboard.pause(study.id)
    assert statuses(dartboard, study) == ["paused", "paused"]
    dartboard.resume(study.id)
    claimed = [claim() for _ in range(2)]
    assert {c.claimed.pause_after for c in claimed} == {1}
