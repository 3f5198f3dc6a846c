"""Successive halving and Hyperband on a table in simulated time."""

from __future__ import annotations

from itertools import product

import pytest

from benchmarks.asha import Asha, Hyperband, Scheduler, Work, run
from benchmarks.oracle.table import OracleTable

ALL = ["".join(digits) for digits in product("01234", repeat=6)]
HOUR = 3600.0


@pytest.fixture(scope="module")
def tables() -> list[OracleTable]:
    """Cells are better the larger their index, on all data sets alike; a training takes 1, 2 and 6 hours."""
    accuracies = {index: place / 200 for place, index in enumerate(ALL)}
    return [
        OracleTable(
            {
                index: {"val_acc": [accuracy], "model_size": [0.1], "train_time": [hours * HOUR]}
                for index, accuracy in accuracies.items()
            }
        )
        for hours in (1, 2, 6)
    ]


class Recorded:
    """Records the works of a scheduler."""

    def __init__(self, of: Scheduler) -> None:
        self.of = of
        self.works: list[Work] = []

    def next(self) -> Work:
        self.works.append(self.of.next())
        return self.works[-1]

    def done(self, work: Work, value: float) -> None:
        self.of.done(work, value)


def test_both_draw_the_same_cells_in_the_same_order(tables: list[OracleTable]) -> None:
    drawn = []
    for make in (Asha, Hyperband):
        recorded = Recorded(make(7, 3))
        run(recorded, tables, workers=2, seconds=50 * HOUR)
        drawn.append([work.index for work in recorded.works if work.rung == 0])
    assert all(one == other for one, other in zip(*drawn, strict=False))
    assert min(map(len, drawn)) > 10


@pytest.mark.parametrize("make", [Asha, Hyperband])
def test_no_trial_is_on_a_rung_twice_or_without_the_one_below(
    tables: list[OracleTable], make: type[Asha] | type[Hyperband]
) -> None:
    recorded = Recorded(make(0, 3))
    run(recorded, tables, workers=3, seconds=100 * HOUR)
    places = [(work.trial, work.rung) for work in recorded.works]
    assert len(set(places)) == len(places)
    assert all((trial, rung - 1) in places for trial, rung in places if rung)


def test_work_that_is_not_done_in_time_counts_for_nothing(tables: list[OracleTable]) -> None:
    race = run(Asha(0, 3), tables, workers=1, seconds=2.5 * HOUR)
    assert (race.trials, race.reached) == (3, [2, 0, 0])
    assert run(Asha(0, 3), tables, workers=1, seconds=0.5 * HOUR).regret == float("inf")


def test_the_regret_is_that_of_the_best_cell_on_the_highest_rung_reached(tables: list[OracleTable]) -> None:
    recorded = Recorded(Asha(0, 3))
    race = run(recorded, tables, workers=1, seconds=11 * HOUR)
    best = ALL[-1]
    highest = max(work.rung for work in recorded.works[:-1])
    found = max(work.index for work in recorded.works[:-1] if work.rung == highest)
    assert race.regret == pytest.approx((ALL.index(best) - ALL.index(found)) / 200)
