from __future__ import annotations

import pytest

from benchmarks.fleet import growth, measure, measure_fairness, measure_urgent
from benchmarks.fleet.fairness import error, max_min

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


def test_the_queue_is_nearer_to_a_fair_division_than_one_by_age() -> None:
    fair, by_age = measure_fairness(owners=4, jobs=80, slots=3, seed=1, say=lambda line: None)
    assert fair["jobs"] == by_age["jobs"] == 80
    assert fair["mean_percent"] < 10 < by_age["mean_percent"]


def test_a_fair_division_gives_no_owner_more_than_its_demand() -> None:
    assert max_min(100, {1: 10, 2: 80, 3: 80}) == {1: 10, 2: 45, 3: 45}
    assert error({1: 10, 2: 90}, {1: 10, 2: 80, 3: 80}) == 0.45
