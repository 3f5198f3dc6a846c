"""The steps of a study with the strategy `asha`, without a service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from api.composite.steps import Child, NewChild, Step
from api.composite.study import next_step, worth_retrying
from api.schemas.jobs import JobKind, Status

pytestmark = pytest.mark.light

MOST = 9


def study(seeds: int = 9, points: int = 1, **asha: int) -> dict[str, Any]:
    point = {"search": {"dataset": "digits", "epochs": MOST}, "short_retrain": {"dataset": "digits"}}
    final = {"dataset": "digits", "seed": 40}
    return {
        "family": "cnn",
        "seeds": list(range(seeds)),
        "final_runs": 2,
        "enough": 1,
        "enough_final": 1,
        "points": [{**point, "final": final, "values": {"order": number + 1}} for number in range(points)],
        "strategy": {"asha": {"eta": 3, "min_epochs": 1, "max_epochs": MOST, **asha}},
    }


class Halved:
    """Children whose validation accuracy is their seed, and that fail where `failing` says."""

    def __init__(self, spec: dict[str, Any], failing: tuple[str, ...] = ()) -> None:
        self.spec, self.failing = spec, failing
        self.children: dict[str, Child] = {}
        self.epochs = 0

    def step(self) -> Step:
        step = next_step(self.spec, self.children)
        for new in step.create:
            assert new.stage not in self.children
            self.children[new.stage] = self._queued(new)
        for child in self.children.values():
            if child.id in step.promote:
                assert child.status is Status.PAUSED
                self._set(child, status=Status.QUEUED, pause_after=step.promote[child.id])
            elif child.id in step.cancel:
                self._set(child, status=Status.CANCELLED)
        return step

    @staticmethod
    def _queued(new: NewChild) -> Child:
        return Child(
            uuid4(), new.kind, new.stage, Status.QUEUED, None, new.source, new.spec, pause_after=new.pause_after
        )

    def _set(self, child: Child, **changes: Any) -> None:
        self.children[child.stage] = replace(child, **changes)

    def work(self) -> bool:
        """The oldest queued child trains to its pause or its end; False if there is none."""
        child = next((c for c in self.children.values() if c.status is Status.QUEUED), None)
        if child is None:
            return False
        if child.stage in self.failing:
            self._set(child, status=Status.FAILED, status_reason="it did")
        elif child.kind is JobKind.EVALUATION:
            figures = {"validation_accuracy": float(child.spec.get("seed", 0)), "test_accuracy": 50.0}
            self._set(child, status=Status.SUCCEEDED, best={"epoch": 1.0, **figures}, metrics=figures)
        else:
            until = child.pause_after or MOST
            self.epochs += until - len(child.history)
            history = {epoch: {"validation_accuracy": float(child.spec["seed"])} for epoch in range(1, until + 1)}
            ended = (
                {"status": Status.PAUSED} if child.pause_after else {"status": Status.SUCCEEDED, "genotype": {"a": 1}}
            )
            self._set(child, history=history, **ended)
        return True

    def run(self) -> Step:
        """Until the study ends; all that is queued is done at once."""
        while (step := self.step()).result is None and step.failure is None:
            worked = [self.work()]
            while worked[-1]:
                worked.append(self.work())
            assert step.create or step.promote or len(worked) > 1, "nothing is at work, and the study waits"
        return step

    def trained(self) -> dict[str, int]:
        return {stage: len(child.history) for stage, child in self.children.items() if child.kind is JobKind.SEARCH}


def test_every_search_pauses_at_the_first_rung_and_the_best_go_on_from_there() -> None:
    world = Halved(study())
    world.run()
    assert sorted(world.trained().values()) == [1] * 6 + [3] * 2 + [9]
    assert world.trained()["search/seed-8"] == 9
    assert world.epochs == 6 * 1 + 2 * 3 + 9


def test_a_step_taken_again_promotes_none_twice() -> None:
    world = Halved(study())
    world.step()
    while world.work():
        pass
    assert len(world.step().promote) == 3
    assert world.step() == Step()


def test_searches_of_all_points_are_in_one_race_and_a_point_without_a_finished_one_says_so() -> None:
    world = Halved(study(seeds=5, points=2))
    result = world.run().result
    assert result is not None
    finished = [stage for stage, epochs in world.trained().items() if epochs == MOST]
    assert [stage.split("/")[0] for stage in finished] == ["point-0"]
    assert [point["failure"] for point in result["points"]] == [None, "no search of it was promoted to the last epoch"]
    assert result["winners"][0]["point"] == 0


def test_what_is_not_promoted_is_cancelled_and_only_finished_searches_are_retrained() -> None:
    world = Halved(study())
    world.run()
    by_status = {stage: child.status for stage, child in world.children.items()}
    assert {s for s, status in by_status.items() if status is Status.CANCELLED} == {
        f"search/seed-{seed}" for seed in range(8)
    }
    assert {s for s in by_status if not s.startswith("search")} == {
        "short-retrain/seed-8",
        "final/run-0",
        "final/run-1",
    }


def test_the_result_has_the_rungs_and_every_trials_figures() -> None:
    result = Halved(study()).run().result
    assert result is not None
    told = result["asha"]
    assert (told["rungs"], told["metric"], told["epochs"], told["epochs_of_all"]) == (
        [1, 3, 9],
        "validation_accuracy",
        21,
        81,
    )
    assert [(row["seed"], row["epochs"]) for row in told["trials"]][-2:] == [(7, 3), (8, 9)]
    assert told["trials"][8]["values"] == {"1": 8.0, "3": 8.0, "9": 8.0}


def test_of_too_few_trials_the_best_reaches_the_end() -> None:
    world = Halved(study(seeds=2))
    world.run()
    assert world.trained() == {"search/seed-0": 1, "search/seed-1": 9}


def test_the_place_of_a_failed_search_goes_to_the_next() -> None:
    world = Halved(study(seeds=6), failing=("search/seed-5", "search/seed-4"))
    world.run()
    assert world.trained()["search/seed-3"] == 9


def test_a_study_whose_searches_all_fail_says_why() -> None:
    world = Halved(study(seeds=2), failing=("search/seed-0", "search/seed-1"))
    failure = world.run().failure
    assert failure is not None
    assert failure.startswith(
        "no search has reached its last epoch (search/seed-0 failed: it did; search/seed-1 failed"
    )


def test_a_search_that_a_user_has_paused_before_its_rung_is_waited_for() -> None:
    world = Halved(study(seeds=2))
    world.step()
    for child in list(world.children.values()):
        world._set(child, status=Status.PAUSED)
    assert world.step() == Step()


def test_a_retry_goes_on_with_all_searches_before_the_race_has_ended_and_with_none_that_it_stopped_later() -> None:
    world = Halved(study(), failing=("short-retrain/seed-8",))
    world.step()
    world.work()
    for child in list(world.children.values()):
        world._set(child, status=Status.CANCELLED)
    assert len(worth_retrying(world.spec, world.children)) == 9
    for child in list(world.children.values()):
        world._set(child, status=Status.QUEUED)
    assert world.run().failure is not None
    assert [child.stage for child in worth_retrying(world.spec, world.children)] == ["short-retrain/seed-8"]
