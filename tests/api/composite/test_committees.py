"""Committees: the protocol alone, and through the service with a simulated worker."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.composite.committee import next_step, planned
from api.composite.steps import Step
from api.schemas.jobs import JobKind, Status
from tests.support.protocol_world import World
from tests.support.simulated_worker import COMMITTEE, SimulatedWorker, printed

SPACES = ["space1", "space2", "space3"]


def committee(**changes: Any) -> dict[str, Any]:
    points = [
        {"values": {"space": space}, "search": {"space": space}, "evaluation": {"seed": 5, "epochs": 1}}
        for space in SPACES
    ]
    return {"seeds": [0, 1], "enough": 3, "points": points, "ensemble": {"combine": "mean"}, **changes}


class Convening(World):
    """The same world for a committee."""

    protocol = staticmethod(next_step)


def found(new: Any) -> dict[str, Any]:
    if new.kind is JobKind.SEARCH:
        return {"genotype": {"space": new.spec["space"], "seed": new.spec["seed"]}}
    if new.kind is JobKind.EVALUATION:
        return {"metrics": {"test_accuracy": 90.0}}
    return {"metrics": {"test_accuracy": 93.0}, "result": {"committee": {"test": {"accuracy": 93.0}}, "gain": 3.0}}


def test_a_committee_searches_every_space_with_every_seed_then_trains_each_cell() -> None:
    world = Convening(committee(), found)
    step = world.run()
    assert step.result is not None
    assert len(world.made("search")) == len(world.made("evaluation")) == 6
    trained = world.children["evaluation/space3-seed-1"]
    assert trained.spec == {"seed": 6, "epochs": 1, "genotype": {"space": "space3", "seed": 1}}
    assert len(world.children) == planned(world.spec) == 13


def test_the_ensemble_is_made_of_all_members_that_came_through() -> None:
    world = Convening(committee(), found, failing=("search/space1-seed-0", "evaluation/space2-seed-1"))
    step = world.run()
    members = [m["evaluation_id"] for m in world.children["ensemble"].spec["members"]]
    trained = ("space1-seed-1", "space2-seed-0", "space3-seed-0", "space3-seed-1")
    assert members == [str(world.children[f"evaluation/{name}"].id) for name in trained]
    assert step.result is not None
    assert [row["failure"] is None for row in step.result["members"]] == [False, True, True, False, True, True]


def test_a_committee_with_too_few_members_fails_and_says_why() -> None:
    failing = tuple(f"search/{space}-seed-{seed}" for space in SPACES[:2] for seed in (0, 1))
    step = Convening(committee(), found, failing).run()
    assert step.failure is not None
    assert step.failure.startswith("4 of 6 members failed, and 3 are needed")


def test_a_failed_ensemble_fails_the_committee() -> None:
    step = Convening(committee(), found, failing=("ensemble",)).run()
    assert step.failure == "ensemble failed: Diverged: it did"


def test_a_committee_waits_for_its_ensemble() -> None:
    world = Convening(committee(), found)
    while True:
        world.step()
        if "ensemble" in world.children:
            break
        world.work()
    assert world.children["ensemble"].status is Status.QUEUED
    assert world.step() == Step()


def test_a_committee_goes_from_searches_to_its_figures(worker: SimulatedWorker) -> None:
    ended = worker.work_until_ended(worker.committee())
    assert (ended.status, ended.error) == ("succeeded", None)
    children = worker.children(ended)
    assert [str(c.kind) for c in children.values()] == ["search"] * 3 + ["evaluation"] * 3 + ["ensemble"]
    assert ended.result is not None
    assert ended.result["ensemble"] == children["ensemble"].links["self"]
    assert ended.result["committee"]["test"] == {"accuracy": 96.0}
    assert [row["space"] for row in ended.result["members"]] == SPACES
    assert ended.metrics is not None
    assert ended.metrics["test_accuracy"] == 96.0


def test_the_command_shows_the_members_and_where_the_committee_is(worker: SimulatedWorker) -> None:
    ended = worker.work_until_ended(worker.committee())
    shown = printed(ended)
    assert all(space in shown for space in SPACES)
    [together] = [line.split()[1:3] for line in shown.splitlines() if "together" in line]
    assert together == ["97.00", "96.00"]
    assert f"./dartboard download {ended.id}" in shown


def test_the_ensemble_is_given_its_members_files_and_the_spec_of_an_ordinary_one(
    worker: SimulatedWorker,
) -> None:
    ended = worker.work_until_ended(worker.committee())
    children = worker.children(ended)
    trained = [children[f"evaluation/{space}-seed-0"] for space in SPACES]
    body = {**COMMITTEE["ensemble"], "members": [{"evaluation_id": str(job.id)} for job in trained], "pool": "unserved"}
    ordinary = worker.dartboard.submit("ensemble", body)
    assert children["ensemble"].spec == ordinary.spec
    assert children["ensemble"].parent == ended.id


def test_a_cancelled_ensemble_is_made_again_by_a_retry(worker: SimulatedWorker) -> None:
    committee = worker.committee()
    worker.failing = {"ensemble"}
    assert worker.work_until_ended(committee).status == "failed"
    worker.failing, worker.done = set(), []
    worker.dartboard.retry(committee.id)
    assert worker.work_until_ended(committee).status == "succeeded"
    assert worker.done == ["ensemble"]


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"spaces": ["space4"]}, "spaces", "space1"),
        ({"spaces": ["space1"]}, "", "expected 2 to 64"),
        ({"spaces": ["space1", "space1"]}, "", "given once"),
        ({"search": {"dataset": "digits", "space": "darts"}}, "search.space", "leave it out"),
        ({"search": {"dataset": "digits", "nodes": 9}}, "search.nodes", "less than or equal"),
        ({"evaluation": {"epochs": 0}}, "evaluation.epochs", "greater than"),
        ({"evaluation": {"batch_size": 5000}}, "evaluation.batch_size", "at most"),
        ({"ensemble": {"combine": "vote"}}, "ensemble.combine", "sum"),
        ({"ensemble": {"dataset": "mnist2"}}, "ensemble.dataset", "digits"),
        ({"enough": 4}, "", "there are 3"),
    ],
)
def test_a_committee_with_an_impossible_child_is_refused_at_the_door(
    http: httpx.Client, change: dict[str, Any], place: str, says: str
) -> None:
    answer = http.post("/committees", json={**COMMITTEE, **change})
    assert answer.status_code == 422, answer.json()
    told = [e["msg"] for e in answer.json()["errors"] if ".".join(map(str, e["loc"][1:])).startswith(place)]
    assert told, answer.json()
    assert says in " ".join(told)
