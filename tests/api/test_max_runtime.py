"""Jobs that run for longer than they may."""

import httpx
import pytest

from api.schemas.worker import Heartbeat
from client.errors import ProblemError
from tests.support.service import Bench, SimulatedAttempt
from worker.api_client import SupersededError


def _beat_until_refused(training: SimulatedAttempt) -> None:
    while True:
        try:
            training.attempt.heartbeat(Heartbeat(hold=0.2))
        except SupersededError:
            return


def test_a_job_over_its_max_runtime_fails_and_its_worker_is_told(bench: Bench) -> None:
    job = bench.submit(max_runtime=1)
    training = bench.claim()
    training.report(1)
    _beat_until_refused(training)
    ended = bench.dartboard.job(job.id)
    assert ended.error is not None
    assert (ended.status, ended.error.type) == ("failed", "RuntimeLimit")
    assert [e.epoch for e in bench.dartboard.epochs(job.id)] == [1]


def test_time_in_the_queue_does_not_count(bench: Bench) -> None:
    job = bench.submit(max_runtime=1)
    other = bench.submit(max_runtime=1, priority=9)
    _beat_until_refused(bench.claim())
    assert bench.dartboard.job(other.id).status == "failed"
    assert bench.dartboard.job(job.id).status == "queued"


def test_a_job_out_of_time_can_be_retried_when_it_is_given_more(bench: Bench, http: httpx.Client) -> None:
    job = bench.submit(max_runtime=1)
    training = bench.claim()
    training.report(1)
    _beat_until_refused(training)
    with pytest.raises(ProblemError, match="max_runtime of 1 s") as refused:
        bench.dartboard.retry(job.id)
    assert refused.value.status == 409
    assert http.patch(f"/searches/{job.id}", json={"max_runtime": 600}).json()["max_runtime"] == 600
    bench.dartboard.retry(job.id)
    assert bench.claim().resume.epoch == 1


@pytest.mark.parametrize("limit", [0, -1, 2**31, "soon"])
def test_a_max_runtime_that_is_no_number_of_seconds_is_refused(bench: Bench, limit: object) -> None:
    with pytest.raises(ProblemError) as refused:
        bench.submit(max_runtime=limit)
    assert refused.value.status == 422
    assert "max_runtime" in refused.value.detail
