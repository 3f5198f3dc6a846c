"""Studies through the service, with a simulated worker."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from client.sdk import Dartboard
from tests.support.simulated_worker import STUDY, SimulatedWorker, printed

RACE: dict[str, Any] = {
    "search": {"dataset": "digits"},
    "strategy": {"asha": {"eta": 2, "min_epochs": 1, "max_epochs": 3}},
}


def test_a_study_answers_201_with_the_specs_of_all_children_filled_in(http: httpx.Client, pool: str) -> None:
    answer = http.post("/studies", json={**STUDY, "pool": pool})
    job = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/studies/{job['id']}" == job["links"]["self"]
    assert job["status"] == "running"
    [point] = job["spec"]["points"]
    assert point["search"]["preset"] == point["short_retrain"]["preset"] == point["final"]["preset"] == "digits"
    assert point["short_retrain"]["train_portion"] == 0.9
    assert (job["spec"]["enough"], job["spec"]["enough_final"]) == (1, 1)


def test_a_study_goes_from_searches_to_test_figures(worker: SimulatedWorker) -> None:
    ended = worker.work_until_ended(worker.study())
    assert ended.status == "succeeded"
    assert ended.result is not None
    [winner] = ended.result["winners"]
    assert winner["chosen"]["seed"] == 1
    assert winner["final"] == {"metric": "test_accuracy", "mean": 90.5, "std": pytest.approx(0.5**0.5), "n": 2}
    assert ended.metrics is not None
    assert ended.metrics["test_accuracy_mean"] == 90.5
    assert ended.metrics["compute_seconds"] > 0


def test_children_are_ordinary_jobs_with_parent_stage_and_the_parents_frame(worker: SimulatedWorker) -> None:
    study = worker.study(name="mine", labels={"team": "vision"}, project="thesis", priority=7, max_attempts=9)
    worker.work_until_ended(study)
    children = worker.children(study)
    assert list(children) == [
        "search/seed-0",
        "search/seed-1",
        "short-retrain/seed-0",
        "short-retrain/seed-1",
        "final/run-0",
        "final/run-1",
    ]
    for stage, child in children.items():
        assert child.parent == study.id
        assert child.name == f"mine {stage}"
        assert (child.labels, child.project, child.priority, child.max_attempts) == ({"team": "vision"}, "thesis", 7, 9)


def test_a_child_has_the_spec_that_the_same_body_would_have_as_an_ordinary_job(
    worker: SimulatedWorker,
) -> None:
    study = worker.study()
    worker.work_until_ended(study)
    children = worker.children(study)
    search = worker.dartboard.submit("search", {**STUDY["search"], "seed": 1, "pool": "unserved"})
    body = {**STUDY["final"], "search_id": str(children["search/seed-1"].id), "pool": "unserved"}
    evaluation = worker.dartboard.submit("evaluation", body)
    assert children["search/seed-1"].spec == search.spec
    assert children["final/run-0"].spec == evaluation.spec


def test_a_study_in_nasbench201_retrains_in_that_spaces_network(worker: SimulatedWorker) -> None:
    study = worker.study(search={**STUDY["search"], "space": "nasbench201"})
    [point] = study.spec["points"]
    for part in ("short_retrain", "final"):
        assert (point[part]["layers"], point[part]["auxiliary"], point[part]["drop_path"]) == (15, False, 0)


def test_the_children_route_has_them_in_the_order_of_their_making(worker: SimulatedWorker, http: httpx.Client) -> None:
    study = worker.study()
    worker.work_until_ended(study)
    answer = http.get(study.links["children"]).json()
    assert [c["stage"] for c in answer["items"]] == list(worker.children(study))


def test_a_studys_stream_tells_how_each_child_stands(worker: SimulatedWorker) -> None:
    study = worker.study()
    worker.work_until_ended(study)
    told = [e.data for e in worker.dartboard.follow(study) if e.kind == "child"]
    for stage in worker.children(study):
        of_stage = [e["status"] for e in told if e["stage"] == stage]
        assert of_stage[0] == "queued"
        assert of_stage[-1] == "succeeded"
        assert len(of_stage) == len(set(of_stage))


def test_the_command_shows_the_candidates_the_choice_and_the_test_figure(worker: SimulatedWorker) -> None:
    shown = printed(worker.work_until_ended(worker.study()))
    assert "chosen" in shown
    assert "seed 1: the highest validation accuracy of 2 candidates: 95.00 %" in shown
    assert "test accuracy 90.50 ± 0.71 over 2 runs" in shown


def test_a_studys_progress_counts_ended_children(worker: SimulatedWorker) -> None:
    study = worker.study()
    worker.work()
    progress = worker.until(lambda: (p := worker.dartboard.job(study.id).progress) and p.epoch == 1 and p)
    assert (progress.epoch, progress.epochs) == (1, 6)


def test_no_worker_is_given_a_study(worker: SimulatedWorker) -> None:
    worker.study()
    assert {worker.work().job.kind for _ in range(2)} == {"search"}


def test_a_study_over_a_grid_has_a_table_of_each_point(worker: SimulatedWorker) -> None:
    ended = worker.work_until_ended(worker.study(grid={"order": [1, 2], "space": ["space1", "space2"]}))
    assert ended.result is not None
    assert [p["values"] for p in ended.result["points"]] == [
        {"order": 1, "space": "space1"},
        {"order": 1, "space": "space2"},
        {"order": 2, "space": "space1"},
        {"order": 2, "space": "space2"},
    ]
    children = worker.children(ended)
    assert children["point-3/search/seed-1"].spec["order"] == 2
    assert len(children["point-3/search/seed-1"].spec["primitives"]) == 6


def test_the_same_idempotency_key_answers_the_first_study(http: httpx.Client, pool: str) -> None:
    key, body = {"Idempotency-Key": uuid4().hex}, {**STUDY, "pool": pool}
    first, again = http.post("/studies", json=body, headers=key), http.post("/studies", json=body, headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"search": {"dataset": "digits", "epochs": 0}}, "search.epochs", "greater than or equal to 1"),
        ({"search": {"dataset": "digits", "epoch": 3}}, "search.epoch", "unknown field"),
        ({"search": {"dataset": "digits", "batch_size": 2000}}, "search.batch_size", "at most 718"),
        ({"search": {"dataset": "mnist2"}}, "search.dataset", "digits, cifar10"),
        ({"search": {}}, "search.dataset", "required"),
        ({"search": {"dataset": "digits", "seed": 3}}, "search.seed", "leave it out"),
        ({"short_retrain": {"epochs": 1, "train_portion": 1.0}}, "short_retrain.train_portion", "held out"),
        ({"final": {"preset": "cifra10"}}, "final.preset", "known"),
        ({"final": {"auxiliary": True}}, "final.auxiliary", "8"),
        ({"final": {"seed": 2**31 - 1}}, "final.seed", "2 runs"),
        ({"grid": {"method": ["newton"]}}, "grid.method", "darts"),
        ({"grid": {"dataset": ["digits"]}}, "search.dataset", "leave it out"),
        ({"grid": {"colour": ["red"]}}, "grid.colour", "unknown field"),
        ({"grid": {"weight_lr": [-1]}}, "grid.weight_lr", "greater than"),
        ({"grid": {"weight_lr": 0.1}}, "grid.weight_lr", "list"),
        ({"grid": {"weight_lr": []}}, "grid.weight_lr", "at least 1"),
        ({"grid": {"seed": [1]}}, "grid", "`seeds` has those of every point"),
        ({**RACE, "grid": {"epochs": [1, 2]}}, "grid.epochs", "leave it out"),
        ({"seeds": [1, 1]}, "", "each seed may be given once"),
        ({"enough": 3}, "", "there are 2"),
        ({"strategy": {"asha": {"max_epochs": 9}}}, "search.epochs", "leave it out"),
        (
            {**RACE, "strategy": {"asha": {"max_epochs": 2, "min_epochs": 3}}},
            "strategy.asha",
            "more than max_epochs, 2",
        ),
        (
            {**RACE, "strategy": {"asha": {"max_epochs": 9, "eta": 1}}},
            "strategy.asha.eta",
            "greater than or equal to 2",
        ),
        ({**RACE, "strategy": {"hyperband": {}}}, "strategy.hyperband", "unknown field"),
        ({**RACE, "enough": 1}, "", "a strategy decides how many searches end"),
        ({**RACE, "search": {}, "grid": {"dataset": ["digits"]}}, "grid.dataset", "a strategy takes one"),
        ({"gpus": 7}, "search.batch_size", "shared by 7 GPUs"),
    ],
)
def test_a_study_with_an_impossible_child_is_refused_at_the_door(
    http: httpx.Client, change: dict[str, Any], place: str, says: str
) -> None:
    answer = http.post("/studies", json={**STUDY, **change})
    assert answer.status_code == 422, answer.json()
    found = [e["msg"] for e in answer.json()["errors"] if ".".join(map(str, e["loc"][1:])).startswith(place)]
    assert found, answer.json()
    assert says in " ".join(found)


def test_a_short_retrain_of_cifar10_takes_the_preset_that_holds_images_out(http: httpx.Client) -> None:
    body = {**STUDY, "pool": "unserved", "search": {"dataset": "cifar10"}, "short_retrain": {}, "final": {}}
    answer = http.post("/studies", json=body)
    [point] = answer.json()["spec"]["points"]
    assert point["short_retrain"]["preset"] == "cifar10-short"
    assert (point["short_retrain"]["train_portion"], point["final"]["train_portion"]) == (0.9, 1.0)
    assert http.post(f"{answer.json()['links']['self']}/cancel").json()["status"] == "cancelled"


def test_a_study_of_recurrent_cells_has_their_family(dartboard: Dartboard) -> None:
    body = {"family": "rnn", "search": {"dataset": "python-docs"}, "pool": "unserved"}
    study = dartboard.submit("study", body)
    [point] = study.spec["points"]
    assert point["short_retrain"]["hidden_size"] == 96
    assert point["final"]["text_checksum"] == point["search"]["text_checksum"]
    dartboard.cancel(study.id)


def test_a_grid_varies_any_field_of_a_search(dartboard: Dartboard, pool: str) -> None:
    study = dartboard.submit("study", {**STUDY, "pool": pool, "grid": {"weight_lr": [0.025, 0.1], "channels": [4]}})
    found = [(point["search"]["weight_lr"], point["search"]["channels"]) for point in study.spec["points"]]
    assert found == [(0.025, 4), (0.1, 4)]
    assert study.spec["points"][1]["values"] == {"weight_lr": 0.1, "channels": 4}
    dartboard.cancel(study.id)
