"""The next step of a study, without a service, for every state of its children."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.composite.steps import NewChild, Step
from api.composite.study import at_once, planned, worth_retrying
from api.schemas.jobs import JobKind, Status
from tests.support.protocol_world import VALIDATION, World, as_planned

pytestmark = pytest.mark.light


def study(**changes: Any) -> dict[str, Any]:
    point = {
        "values": {},
        "search": {"dataset": "digits"},
        "short_retrain": {"dataset": "digits", "seed": 7},
        "final": {"dataset": "digits", "seed": 40},
    }
    usual = {"family": "cnn", "seeds": [0, 1, 2, 3], "final_runs": 3, "enough": 2, "enough_final": 2, "points": [point]}
    return {**usual, **changes}


def test_a_study_begins_with_a_search_for_each_seed() -> None:
    world = World(study())
    created = world.step().create
    assert [(new.kind, new.stage, new.spec["seed"]) for new in created] == [
        (JobKind.SEARCH, f"search/seed-{seed}", seed) for seed in range(4)
    ]


def test_a_step_taken_again_makes_nothing_new() -> None:
    world = World(study())
    world.step()
    assert world.step() == Step()


def test_a_found_cell_is_retrained_without_waiting_for_the_other_searches() -> None:
    world = World(study())
    world.step()
    world.work()
    [new] = world.step().create
    assert (new.kind, new.stage) == (JobKind.EVALUATION, "short-retrain/seed-0")
    assert new.source == world.children["search/seed-0"].id
    assert new.spec == {"dataset": "digits", "seed": 7, "genotype": {"seed": 0}}


def test_nothing_is_chosen_before_every_candidate_has_ended() -> None:
    world = World(study())
    while len([c for c in world.children.values() if c.stage.startswith("short") and c.succeeded]) < 3:
        world.step()
        world.work()
    world.step()
    assert world.made("final") == []


def test_the_chosen_cell_is_the_best_on_validation_data_and_the_first_of_equals() -> None:
    result = World(study()).run().result
    assert result is not None
    [point] = result["points"]
    assert point["chosen"]["seed"] == 1
    assert point["chosen"]["genotype"] == {"seed": 1}
    assert "95.00 %" in point["chosen"]["why"]
    assert [row["chosen"] for row in point["candidates"]] == [False, True, False, False]


def test_of_language_models_the_lowest_perplexity_is_chosen() -> None:
    def outcome(new: NewChild) -> dict[str, Any]:
        done = as_planned(new)
        if new.kind is JobKind.EVALUATION:
            value = VALIDATION[new.spec["genotype"]["seed"]]
            done = {"best": {"epoch": 1.0, "validation_perplexity": value}, "metrics": {"test_perplexity": 80.0}}
        return done

    result = World(study(family="rnn"), outcome).run().result
    assert result is not None
    assert result["points"][0]["chosen"]["seed"] == 0
    assert result["winners"][0]["final"]["metric"] == "test_perplexity"


def test_test_figures_choose_nothing() -> None:
    def outcome(new: NewChild) -> dict[str, Any]:
        done = as_planned(new)
        if new.kind is JobKind.EVALUATION and new.stage.startswith("short"):
            done["metrics"] = {"test_accuracy": 100.0 - done["best"]["validation_accuracy"]}
        return done

    result = World(study(), outcome).run().result
    assert result is not None
    assert result["points"][0]["chosen"]["seed"] == 1


def test_the_final_runs_train_the_chosen_cell_with_a_seed_each() -> None:
    world = World(study())
    world.run()
    finals = [world.children[stage] for stage in world.made("final")]
    assert [child.spec["seed"] for child in finals] == [40, 41, 42]
    assert all(child.spec["genotype"] == {"seed": 1} for child in finals)


def test_the_result_has_mean_and_sample_deviation_of_the_test_figures() -> None:
    step = World(study()).run()
    assert step.result is not None
    final = step.result["winners"][0]["final"]
    assert final == {"metric": "test_accuracy", "mean": 41.0, "std": 1.0, "n": 3}
    assert step.metrics == {"compute_seconds": 110.0, "test_accuracy_mean": 41.0, "test_accuracy_std": 1.0}


def test_one_final_run_has_no_deviation() -> None:
    step = World(study(final_runs=1, enough_final=1)).run()
    assert step.result is not None
    assert step.result["winners"][0]["final"]["std"] is None


@pytest.mark.parametrize("stage", ["search/seed-1", "short-retrain/seed-1"])
def test_a_failed_candidate_counts_as_failed_and_the_study_goes_on(stage: str) -> None:
    step = World(study(), failing=(stage,)).run()
    assert step.result is not None
    [point] = step.result["points"]
    assert point["chosen"]["seed"] == 3
    assert point["candidates"][1]["failure"] == f"{stage} failed: Diverged: it did"
    assert "of 3 candidates" in point["chosen"]["why"]


def test_a_study_with_too_few_candidates_fails_says_why_and_ends_the_others() -> None:
    world = World(study(), failing=tuple(f"search/seed-{seed}" for seed in (0, 1, 2)))
    step = world.run()
    assert step.failure is not None
    assert step.failure.startswith("3 of 4 candidates failed, and 2 are needed (search/seed-0 failed: Diverged")
    assert step.cancel == (world.children["search/seed-3"].id,)


def test_a_failed_final_run_is_left_out_of_the_mean() -> None:
    step = World(study(), failing=("final/run-1",)).run()
    assert step.result is not None
    final = step.result["points"][0]["final"]
    assert (final["n"], final["mean"]) == (2, 41.0)
    assert final["runs"][1]["failure"] == "final/run-1 failed: Diverged: it did"


def test_a_study_with_too_few_final_runs_fails() -> None:
    step = World(study(), failing=("final/run-0", "final/run-2")).run()
    assert step.failure is not None
    assert "2 of 3 final runs failed, and 2 are needed" in step.failure


def test_a_choice_stands_though_another_candidate_comes_through_later() -> None:
    world = World(study(), failing=("short-retrain/seed-1",))
    while not world.made("final"):
        world.step()
        if world.waiting:
            world.work()
    late = world.children["short-retrain/seed-1"]
    best = {"epoch": 2.0, "validation_accuracy": 99.0}
    world.children[late.stage] = replace(late, status=Status.SUCCEEDED, best=best)
    step = world.run()
    assert step.result is not None
    assert step.result["points"][0]["chosen"]["seed"] == 3


def test_behind_a_choice_only_final_runs_are_worth_retrying() -> None:
    world = World(study(), failing=("short-retrain/seed-1", "final/run-0", "final/run-1"))
    world.run()
    lost = {c.stage for c in worth_retrying(world.spec, world.children)}
    assert lost == {"final/run-0", "final/run-1", "final/run-2"}


def test_before_a_choice_every_lost_child_is_worth_retrying() -> None:
    world = World(study(enough=4), failing=("search/seed-1",))
    world.run()
    lost = [c.stage for c in worth_retrying(world.spec, world.children)]
    assert "search/seed-1" in lost
    assert "search/seed-3" in lost, "it was cancelled when the study failed"


def test_a_paused_child_is_waited_for() -> None:
    world = World(study(seeds=[0], enough=1))
    world.step()
    world.children = {stage: replace(c, status=Status.PAUSED) for stage, c in world.children.items()}
    assert world.step() == Step()


def grid() -> dict[str, Any]:
    [point] = study()["points"]
    points = [{**point, "values": {"order": order}, "search": {**point["search"], "order": order}} for order in (1, 2)]
    return study(seeds=[0, 1], points=points, enough=1)


def better_in_second_order(new: NewChild) -> dict[str, Any]:
    if new.kind is JobKind.SEARCH:
        return {"genotype": {"seed": new.spec["seed"] + 2 * (new.spec["order"] - 1)}}
    return as_planned(new)


def test_each_point_of_a_grid_has_its_own_choice_and_the_best_of_them_wins_by_validation() -> None:
    world = World(grid(), better_in_second_order)
    step = world.run()
    assert step.result is not None
    assert [p["chosen"]["seed"] for p in step.result["points"]] == [1, 1]
    [winner] = step.result["winners"]
    # 95.0 and 95.0: the earlier of equals.
    assert (winner["point"], winner["values"]) == (0, {"order": 1})
    assert len(world.children) == planned(world.spec) == 14
    assert at_once(world.spec) == 6


def test_a_point_that_fails_leaves_the_others_and_is_named_in_the_result() -> None:
    step = World(grid(), better_in_second_order, ("point-0/search/seed-0", "point-0/search/seed-1")).run()
    assert step.result is not None
    assert "2 of 2 candidates failed" in step.result["points"][0]["failure"]
    assert step.result["points"][0]["chosen"] is None
    assert step.result["winners"][0]["values"] == {"order": 2}


def test_a_grid_over_data_sets_has_a_winner_of_each() -> None:
    [point] = study()["points"]
    points = [
        {"values": {"dataset": name}, **{part: {**point[part], "dataset": name} for part in point if part != "values"}}
        for name in ("digits", "cifar10")
    ]
    step = World(study(seeds=[0, 1], points=points)).run()
    assert step.result is not None
    assert [w["dataset"] for w in step.result["winners"]] == ["digits", "cifar10"]
    assert "test_accuracy_mean" not in step.metrics
