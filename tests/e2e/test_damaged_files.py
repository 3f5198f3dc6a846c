"""A stored checkpoint is damaged while its job is paused: a real worker goes on from the one before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from api.schemas.jobs import JobOut
from client.sdk import Dartboard
from tests.support.small_search import until


def test_a_job_with_a_damaged_checkpoint_ends_like_an_undisturbed_one(
    data: Path, dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    job = submit(epochs=4, seed=7, checkpoint_every=1)
    until(dartboard.follow(job), lambda e: e.kind == "checkpoint" and e.data["epoch"] == 2)
    dartboard.pause(job.id)
    until(dartboard.follow(job), lambda e: e.kind == "status" and e.data["status"] == "paused")
    done = len(dartboard.epochs(job.id))
    [newest] = (data / "artifacts" / str(job.id)).rglob(f"*-epoch-{done}.pt")
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) // 2])
    dartboard.resume(job.id)
    undisturbed = dartboard.wait(submit(epochs=4, seed=7, checkpoint_every=1))
    assert dartboard.wait(job).status == "succeeded"
    logged = [line.message for line in dartboard.logs(job.id)]
    assert any(f"epoch {done} is damaged" in line and f"resumes from epoch {done - 1}" in line for line in logged)
    assert [e.alphas for e in dartboard.epochs(job.id)] == [e.alphas for e in dartboard.epochs(undisturbed.id)]
    assert [e.epoch for e in dartboard.epochs(job.id)] == [1, 2, 3, 4]
