from __future__ import annotations

import pytest

from benchmarks.fleet import growth, measure, measure_urgent

pytestmark = pytest.mark.slow


def test_a_small_fleet_works_through_a_filled_service_and_every_look_is_timed() -> None:
    rows = measure(jobs=[3, 30], workers=3, seconds=4, job_seconds=0.3, say=lambda line: None)
    assert [row["jobs"] for row in rows] == [3, 30]
    for row in rows:
        assert row["ended"] > 0
        assert row["times"]["rush"]["count"] == 3
        timed = {
            "claim",
            "heartbeat",
            "upload",
            "epoch",
            "finish",
            "submit",
            "first page",
            "rare label",
            "waker's look",
        }
        assert timed <= row["times"].keys()
        assert row["api_memory_mib"] < 300
        assert row["requests_a_second"] > 0
        assert row["lost"] == 0
    assert growth(rows).keys() == row["times"].keys()


def test_urgent_jobs_on_a_full_fleet_are_claimed_after_a_step_of_the_jobs_that_make_room() -> None:
    rows = measure_urgent(workers=2, jobs=4, step_seconds=0.1, say=lambda line: None)
    assert [(row["at_once"], row["jobs"]) for row in rows] == [(1, 4), (2, 4)]
    assert all(row["median_seconds"] >= 0.1 for row in rows)
