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
