"""Users pause, resume and cancel a running job."""

from collections.abc import Callable

import psutil

from api.schemas.jobs import JobOut
from client.sdk import Dartboard
from tests.support.small_search import until


def test_cancel_in_the_middle_of_an_epoch_frees_the_worker_for_the_next_job(
    dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    # Hours of work, steps of seconds: nothing but the cancel can make room for the next job.
    long = submit(epochs=1000, channels=32, layers=8, nodes=4, batch_size=512)
    until(dartboard.follow(long), lambda e: e.kind == "status" and e.data["status"] == "running")
    assert dartboard.cancel(long.id).status == "cancelled"
    assert dartboard.wait(submit(epochs=1)).status == "succeeded"
    assert dartboard.epochs(long.id) == []
    assert dartboard.job(long.id).status == "cancelled"


def test_pause_stops_after_the_epoch_and_resume_ends_like_an_undisturbed_run(
    dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    job = submit(epochs=3, seed=5)
    until(dartboard.follow(job), lambda e: e.kind == "step")
    dartboard.pause(job.id)
    until(dartboard.follow(job), lambda e: e.kind == "status" and e.data["status"] == "paused")
    assert len(dartboard.epochs(job.id)) in (1, 2)
    dartboard.resume(job.id)
    undisturbed = dartboard.wait(submit(epochs=3, seed=5))
    assert dartboard.wait(job).status == "succeeded"
    assert [e.alphas for e in dartboard.epochs(job.id)] == [e.alphas for e in dartboard.epochs(undisturbed.id)]


def test_an_extended_search_ends_like_an_undisturbed_one_with_the_same_extension(
    dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    job = dartboard.wait(submit(epochs=1, seed=6))
    dartboard.extend(job.id, 3)
    until(dartboard.follow(job, after=job.last_sequence), lambda e: e.kind == "step")
    dartboard.pause(job.id)
    until(dartboard.follow(job, after=job.last_sequence), lambda e: e.kind == "status" and e.data["status"] == "paused")
    dartboard.extend(job.id, 4)
    undisturbed = dartboard.wait(submit(epochs=4, seed=6, extensions=dartboard.job(job.id).spec["extensions"]))
    assert dartboard.wait(job).status == "succeeded"
    assert [e.alphas for e in dartboard.epochs(job.id)] == [e.alphas for e in dartboard.epochs(undisturbed.id)]


def test_an_urgent_job_overtakes_the_queue(dartboard: Dartboard, submit: Callable[..., JobOut]) -> None:
    first = submit(epochs=2)
    until(dartboard.follow(first), lambda e: e.kind == "status" and e.data["status"] == "running")
    normal, urgent = submit(epochs=1), submit(epochs=1, priority=9)
    done = [dartboard.wait(job) for job in (urgent, normal)]
    assert done[0].started_at is not None
    assert done[1].started_at is not None
    assert done[0].started_at < done[1].started_at


def test_a_worker_that_ran_jobs_leaves_no_attempt_behind(
    dartboard: Dartboard, submit: Callable[..., JobOut], worker_child: Callable[[], psutil.Process]
) -> None:
    dartboard.wait(submit(epochs=1))
    assert [w.job_id for w in dartboard.workers() if w.alive] == [None]
