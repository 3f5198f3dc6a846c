"""A job's attempts, the presets, and the position in its events."""

from __future__ import annotations

import httpx

from tests.support.service import Bench


def test_each_attempt_names_its_worker_and_its_end(bench: Bench, http: httpx.Client) -> None:
    job = bench.submit()
    bench.claim("worker-a")
    bench.dartboard.cancel(job.id)
    bench.dartboard.retry(job.id)
    bench.claim("worker-b")
    latest, first = http.get(f"/searches/{job.id}/attempts").json()["items"]
    assert (latest["number"], latest["worker"], latest["status"], latest["ended_at"]) == (
        2,
        "worker-b",
        "running",
        None,
    )
    assert (first["number"], first["worker"], first["status"]) == (1, "worker-a", "cancelled")
    assert first["end_reason"] == "cancelled by request"


def test_a_job_says_where_its_events_go_on(bench: Bench) -> None:
    job = bench.submit()
    assert job.last_sequence == 1
    bench.dartboard.cancel(job.id)
    events = bench.dartboard.follow(job, after=job.last_sequence)
    assert [event.data["status"] for event in events] == ["cancelled", "cancelled"]


def test_a_preset_has_the_values_that_a_spec_is_filled_with(bench: Bench, http: httpx.Client) -> None:
    presets = http.get("/presets").json()["items"]
    [digits] = [p for p in presets if (p["kind"], p["name"], p["latest"]) == ("search", "digits", True)]
    spec = bench.submit(epochs=digits["values"]["epochs"]).spec
    assert {name: spec[name] for name in digits["values"]} == digits["values"]


def test_notes_are_in_a_job_and_left_out_of_lists(bench: Bench) -> None:
    job = bench.submit(labels={"noted": bench.pool})
    bench.dartboard.update(job.id, notes="# Why\n\nto see")
    assert bench.dartboard.job(job.id).notes == "# Why\n\nto see"
    assert [each.notes for each in bench.dartboard.jobs(label=f"noted={bench.pool}")] == [None]
    bench.dartboard.update(job.id, notes=None)
    assert bench.dartboard.job(job.id).notes is None


def test_a_job_with_a_loss_above_that_of_any_guess_has_a_warning(bench: Bench) -> None:
    job = bench.submit(epochs=2)
    training = bench.claim()
    training.report(1, validation_loss=2.5)
    assert bench.dartboard.job(job.id).warning is None
    training.report(2, validation_loss=1e7)
    training.finish()
    ended = bench.wait_for_status(job, "succeeded")
    assert ended.warning is not None
    assert ended.warning.startswith("the run has diverged: its validation loss is 1e+07 nats")
