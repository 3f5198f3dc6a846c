"""Optuna's samplers draw the values of a study's points."""

from __future__ import annotations

import subprocess
import sys
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.composite.outcome import Outcome
from api.composite.sampler import draw
from api.composite.study import next_step, outcomes, planned
from api.schemas.studies import Sample
from tests.support.protocol_world import World

pytestmark = pytest.mark.light

OVER = {
    "weight_lr": {"log_uniform": [1e-4, 1e-1]},
    "momentum": {"uniform": [0.5, 0.99]},
    "layers": {"integer": [2, 20, 3]},
    "method": {"choice": ["darts", 1, True, None, [1, 2]]},
}
_OUTCOMES = st.one_of(
    st.builds(Outcome, st.floats(-100, 100)),
    st.just(Outcome()),
    st.just(Outcome(ended=True)),
    st.just(Outcome(float("-inf"))),
    st.builds(Outcome, st.none(), st.dictionaries(st.integers(1, 9), st.floats(-1, 1)), st.booleans()),
)


def drawn(sample: Sample, told: list[Outcome]) -> list[dict[str, Any]]:
    """Draw a point after each of these outcomes, and the first."""
    points: list[tuple[dict[str, Any], Outcome]] = []
    for outcome in [*told, Outcome()]:
        points.append((draw(sample, points), outcome))
    return [values for values, _ in points]


@given(st.sampled_from(["tpe", "random"]), st.integers(0, 2**31 - 1), st.lists(_OUTCOMES, max_size=15))
def test_values_lie_where_they_are_asked_for_and_are_the_same_again(
    sampler: str, seed: int, told: list[Outcome]
) -> None:
    sample = Sample.model_validate({"over": OVER, "trials": 99, "sampler": sampler, "seed": seed})
    found = drawn(sample, told)
    for values in found:
        assert 1e-4 <= values["weight_lr"] <= 1e-1
        assert 0.5 <= values["momentum"] <= 0.99
        assert values["layers"] in range(2, 21, 3)
        assert any(values["method"] is choice for choice in sample.over["method"].choice or [])
    assert drawn(sample, told) == found


def test_another_seed_draws_other_values_and_a_refused_draw_others_again() -> None:
    sample = Sample.model_validate({"over": OVER, "trials": 1})
    found = [draw(sample, []), draw(sample, [], refused=1), draw(sample.model_copy(update={"seed": 1}), [])]
    assert len({values["weight_lr"] for values in found}) == 3


def test_the_parzen_estimator_learns_from_what_it_is_told_and_random_draws_do_not() -> None:
    def distance(sampler: str) -> float:
        over = {"weight_lr": {"uniform": [0.0, 1.0]}}
        sample = Sample.model_validate({"over": over, "trials": 40, "sampler": sampler})
        points: list[tuple[dict[str, Any], Outcome]] = []
        for _ in range(40):
            values = draw(sample, points)
            points.append((values, Outcome(-abs(values["weight_lr"] - 0.3))))
        return mean(abs(float(values["weight_lr"]) - 0.3) for values, _ in points[20:])

    assert distance("tpe") < distance("random") / 2


def sampled_study(points: int, trials: int, **more: Any) -> dict[str, Any]:
    """A study's spec whose sampler has drawn so many points."""
    part = {"search": {"dataset": "digits", "epochs": 4}, "short_retrain": {"dataset": "digits"}}
    final = {"dataset": "digits", "seed": 0}
    return {
        "family": "cnn",
        "seeds": [0],
        "final_runs": 1,
        "enough": 1,
        "enough_final": 1,
        "points": [{**part, "final": final, "values": {"weight_lr": float(n)}} for n in range(points)],
        "sample": {"trials": trials, "at_once": 1},
        **more,
    }


def test_a_points_value_is_told_once_its_cell_is_chosen_and_a_failed_point_has_none() -> None:
    world = World(sampled_study(2, 2), failing=("point-1/search/seed-0",))
    world.step()
    assert [each.is_awaited for each in outcomes(world.spec, world.children)] == [True, True]
    for _ in range(3):
        world.work()
        world.step()
    assert outcomes(world.spec, world.children) == [Outcome(90.0), Outcome(ended=True)]


def test_one_point_alone_has_the_stages_that_it_keeps_and_its_progress_counts_all() -> None:
    [new] = next_step(sampled_study(1, 5), {}).create
    assert new.stage == "point-0/search/seed-0"
    assert planned(sampled_study(1, 5)) == 5 * 3


def test_the_api_imports_no_optuna_before_a_draw_and_no_torch_with_it() -> None:
    code = """
import sys, api.app
from api.composite.sampler import draw
from api.schemas.studies import Sample
assert "optuna" not in sys.modules
draw(Sample.model_validate({"over": {"epochs": {"integer": [1, 5]}}, "trials": 1}), [])
assert "optuna" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
