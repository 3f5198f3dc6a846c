"""The rule of promotion, for any order in which trials arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_core.successive_halving import best, next_promotion, rungs

pytestmark = pytest.mark.light

# The values of a trial, one for each rung; and in which order the running ones end.
TRIALS = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=40)
ETA = st.integers(2, 5)


class Race:
    """Trials 0, 1, ... with known values, some at work at once, until nothing is left to do."""

    def __init__(self, truth: list[list[float]], eta: int, order: st.DataObject, workers: int = 3) -> None:
        self.truth, self.eta = truth, eta
        self.values: list[dict[int, float]] = [{} for _ in truth[0]]
        self.promoted: list[set[int]] = [set() for _ in truth[0]]
        self.begun = 0
        running: list[tuple[int, int]] = []
        while True:
            while len(running) < workers and (job := self.next()) is not None:
                running.append(job)
            if not running:
                return
            trial, rung = running.pop(order.draw(st.integers(0, len(running) - 1)))
            assert trial not in self.values[rung], "computed twice"
            self.values[rung][trial] = self.truth[trial][rung]

    def next(self) -> tuple[int, int] | None:
        """A promotion, else a new trial while there is one."""
        found = next_promotion(self.values, self.promoted, self.eta)
        if found is not None:
            trial, rung = found
            self.check(trial, rung)
            self.promoted[rung].add(trial)
            return trial, rung + 1
        if self.begun == len(self.truth):
            return None
        self.begun += 1
        return self.begun - 1, 0

    def check(self, trial: int, rung: int) -> None:
        mine, others = self.values[rung][trial], self.values[rung].values()
        assert sum(value > mine for value in others) < len(others) // self.eta, "not among the best"
        for higher in range(rung + 1, len(self.values) - 1):
            assert set(best(self.values[higher], len(self.values[higher]) // self.eta)) <= self.promoted[higher]


@given(TRIALS, ETA, st.data())
def test_a_promoted_trial_is_among_the_best_of_its_rung_and_no_higher_rung_has_another(
    truth: list[list[float]], eta: int, order: st.DataObject
) -> None:
    Race(truth, eta, order)


@given(TRIALS, ETA, st.data())
def test_in_the_end_the_best_of_each_rung_are_above_it_and_none_is_there_without_its_rungs(
    truth: list[list[float]], eta: int, order: st.DataObject
) -> None:
    race = Race(truth, eta, order)
    assert len(race.values[0]) == len(truth)
    for rung, above in enumerate(race.values[1:]):
        below = race.values[rung]
        assert set(best(below, len(below) // eta)) <= above.keys() <= below.keys()
        assert above.keys() == race.promoted[rung]


@given(TRIALS, ETA)
def test_only_the_order_of_values_counts(truth: list[list[float]], eta: int) -> None:
    values = {trial: row[0] for trial, row in enumerate(truth)}
    order = {trial: float(sorted(values.values()).index(value)) for trial, value in values.items()}
    assert next_promotion([values, {}], [set(), set()], eta) == next_promotion([order, {}], [set(), set()], eta)


def test_the_first_of_equal_trials_goes_on() -> None:
    assert next_promotion([{"b": 0.5, "a": 0.5}, {}], [[], []], 2) == ("b", 0)


def test_too_few_trials_promote_none() -> None:
    assert next_promotion([{"a": 0.5, "b": 0.6}, {}], [[], []], 3) is None


@given(st.integers(1, 20), st.integers(0, 200), ETA)
def test_rungs_rise_by_eta_from_the_least_to_the_most(least: int, more: int, eta: int) -> None:
    found = rungs(least, least + more, eta)
    assert (found[0], found[-1]) == (least, least + more)
    assert found[:-1] == [least * eta**k for k in range(len(found) - 1)]
    assert found == sorted(set(found))


@pytest.mark.parametrize(("least", "most", "eta"), [(0, 5, 3), (6, 5, 3), (1, 5, 1)])
def test_rungs_that_cannot_be_are_refused(least: int, most: int, eta: int) -> None:
    with pytest.raises(ValueError, match="expected 1 <= least <= most and eta >= 2"):
        rungs(least, most, eta)
