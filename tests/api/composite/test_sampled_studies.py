"""Studies whose points are drawn, through the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.schemas.jobs import JobKind, JobOut
from api.schemas.worker import Claim, Release
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.configs import SearchConfig
from tests.support.service import Bench, Service, SimulatedAttempt
from tests.support.simulated_worker import STUDY, SimulatedWorker
from worker.api_client import WorkerApi

OVER: dict[str, Any] = {
    "weight_lr": {"log_uniform": [0.001, 0.1]},
    "layers": {"integer": [3, 9, 2]},
    "method": {"choice": ["darts", "gdas"]},
}
SAMPLE: dict[str, Any] = {"over": OVER, "trials": 5, "at_once": 2, "seed": 7}
RACE: dict[str, Any] = {
    "search": {"dataset": "digits"},
    "seeds": [0],
    "short_retrain": {"epochs": 1},
    "final": {"epochs": 1},
    "final_runs": 1,
    "strategy": {"asha": {"eta": 2, "min_epochs": 1, "max_epochs": 4}},
}


def sampled(worker: SimulatedWorker, **sample: Any) -> JobOut:
    return worker.study(seeds=[0], final_runs=1, sample={**SAMPLE, **sample})


def values(study: JobOut) -> list[dict[str, Any]]:
    return [point["values"] for point in study.spec["points"]]


def test_the_first_points_are_drawn_at_once_and_the_others_as_values_come(worker: SimulatedWorker) -> None:
    study = sampled(worker)
    assert len(values(study)) == 2
    ended = worker.work_until_ended(study)
    assert ended.status == "succeeded", ended.error
    found = values(ended)
    assert found[:2] == values(study)
    assert len({each["weight_lr"] for each in found}) == 5
    assert ended.result is not None
    assert [point["values"] for point in ended.result["points"]] == found


def test_each_search_has_its_points_values_in_a_spec_that_is_valid(worker: SimulatedWorker) -> None:
    ended = worker.work_until_ended(sampled(worker))
    children = worker.children(ended)
    for number, drawn in enumerate(values(ended)):
        spec = children[f"point-{number}/search/seed-0"].spec
        assert {name: spec[name] for name in OVER} == drawn
        assert 0.001 <= drawn["weight_lr"] <= 0.1
        assert drawn["layers"] in (3, 5, 7, 9)
        SearchConfig.model_validate(spec)


def test_draws_that_fit_nothing_together_are_drawn_again(worker: SimulatedWorker) -> None:
    # A batch is drawn from both parts of digits' 1437 images: 500 of them go with half of the images, not with 0.9.
    over = {"batch_size": {"integer": [100, 500]}, "train_portion": {"uniform": [0.5, 0.9]}}
    ended = worker.work_until_ended(sampled(worker, over=over, trials=6))
    assert ended.status == "succeeded", ended.error
    for child in worker.children(ended).values():
        if child.kind is JobKind.SEARCH:
            SearchConfig.model_validate(child.spec)


@pytest.mark.parametrize(
    ("sample", "place", "says"),
    [
        ({"over": {}}, "sample.over", "at least 1"),
        ({"over": {"weight_lr": {"uniform": [1, 0.5]}}}, "sample.over.weight_lr", "not below the largest"),
        ({"over": {"weight_lr": {"uniform": [0, "inf"]}}}, "sample.over.weight_lr", "finite"),
        ({"over": {"weight_lr": {"log_uniform": [0, 1]}}}, "sample.over.weight_lr", "not above 0"),
        ({"over": {"layers": {"integer": [3, 8, 2]}}}, "sample.over.layers", "no steps of 2"),
        ({"over": {"layers": {"integer": [3.5, 8]}}}, "sample.over.layers", "integer"),
        ({"over": {"method": {"choice": []}}}, "sample.over.method", "at least 1"),
        ({"over": {"method": {"choice": ["darts", "darts"]}}}, "sample.over.method", "once"),
        ({"over": {"layers": {"normal": [0, 1]}}}, "sample.over.layers", "unknown field"),
        ({"over": {"layers": {}}}, "sample.over.layers", "one of"),
        ({"over": {"layers": {"integer": [1, 2], "choice": [1]}}}, "sample.over.layers", "one of"),
        ({"over": {"layers": {"integer": [0, 5]}}}, "sample.over.layers", "greater than or equal to"),
        ({"over": {"batch_size": {"integer": [8, 5000]}}}, "sample.over.batch_size", "at most"),
        ({"over": {"method": {"choice": ["dart"]}}}, "sample.over.method", "dart"),
        ({"over": {"wait_lr": {"uniform": [0, 1]}}}, "sample.over.wait_lr", "weight_lr"),
        ({"over": {"seed": {"integer": [0, 5]}}}, "sample", "seeds"),
        ({"over": {"dataset": {"choice": ["digits"]}}}, "sample", "do not compare"),
        ({"trials": 0}, "sample.trials", "greater than or equal to 1"),
        ({"trials": 300}, "sample.trials", "256"),
        ({"sampler": "cma-es"}, "sample.sampler", "tpe"),
        ({"at_once": 0}, "sample.at_once", "greater than or equal to 1"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_422_and_names_the_place(
    http: httpx.Client, sample: dict[str, Any], place: str, says: str
) -> None:
    answer = http.post("/studies", json={**STUDY, "sample": {**SAMPLE, **sample}, "pool": "unserved"})
    assert answer.status_code == 422, answer.json()
    found = [e["msg"] for e in answer.json()["errors"] if ".".join(map(str, e["loc"][1:])).startswith(place)]
    assert says in " ".join(found), answer.json()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"grid": {"order": [1, 2]}}, "grid"),
        ({"seeds": list(range(60))}, "seeds"),
        ({"search": {"dataset": "digits", "layers": 4}}, "search.layers"),
        ({**RACE, "sample": {**SAMPLE, "over": {"epochs": {"integer": [1, 3]}}}}, "sample.over.epochs"),
    ],
)
def test_what_contradicts_a_sample_is_422(http: httpx.Client, change: dict[str, Any], place: str) -> None:
    answer = http.post("/studies", json={**STUDY, "sample": SAMPLE, "pool": "unserved", **change})
    assert answer.status_code == 422, answer.json()
    assert place in [".".join(map(str, e["loc"][1:])) for e in answer.json()["errors"]]


class Racers:
    """A worker of races: the smaller a search's weight_lr, the better."""

    def __init__(self, bench: Bench, dartboard: Dartboard) -> None:
        self._bench, self._dartboard = bench, dartboard

    def run(self, study: JobOut) -> JobOut:
        while not (now := self._dartboard.job(study.id)).status.ended:
            wanted = Claim(worker="worker-a", pools=[self._bench.pool], threads=2)
            if (claimed := self._bench.api.claim(wanted)) is not None:
                self._train(SimulatedAttempt(self._bench.api, claimed, self._bench.folder))
        return now

    @staticmethod
    def _train(training: SimulatedAttempt) -> None:
        claimed, spec = training.claimed, training.claimed.spec
        first = 1 if claimed.resume is None else claimed.resume.epoch + 1
        value = 50.0 if claimed.kind != "search" else 100 * (1 - spec["weight_lr"])
        for epoch in range(first, (claimed.pause_after or spec["epochs"]) + 1):
            training.report(epoch, validation_accuracy=value, test_accuracy=value)
        if claimed.pause_after:
            training.attempt.release(Release(n=training.number(), reason="pause"))
        else:
            training.finish()


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_race_goes_on_until_all_points_are_drawn_and_its_best_reach_the_end(
    bench: Bench, dartboard: Dartboard, at_once: int
) -> None:
    sample = {"over": {"weight_lr": {"uniform": [0.01, 0.1]}}, "trials": 8, "at_once": at_once}
    study = dartboard.submit("study", {**RACE, "sample": sample, "pool": bench.pool})
    ended = Racers(bench, dartboard).run(study)
    assert ended.status == "succeeded", ended.error
    assert ended.result is not None
    rows = ended.result["asha"]["trials"]
    assert [row["point"] for row in rows] == list(range(8))
    lasting = [row["point"] for row in rows if row["epochs"] == 4]
    rates = [each["weight_lr"] for each in values(ended)]
    assert rates.index(min(rates)) in lasting
    assert len(lasting) < 8
    assert ended.result["winners"][0]["point"] in lasting


def test_a_restarted_service_and_two_at_once_draw_what_an_undisturbed_one_draws(tmp_path: Path) -> None:
    one_by_one = {"at_once": 1, "trials": 4}

    def worker_of(stack: LocalStack, pool: str) -> SimulatedWorker:
        key = stack.processes["api"].command.environment["DARTBOARD_WORKER_KEY"]
        return SimulatedWorker(Dartboard(stack.url), WorkerApi(stack.url, key), tmp_path, pool)

    with LocalStack(tmp_path / "data", port=0, workers=0) as stack:
        whole = worker_of(stack, "whole")
        undisturbed = values(whole.work_until_ended(sampled(whole, **one_by_one)))
        assert len(undisturbed) == 4
        broken = worker_of(stack, "broken")
        study = sampled(broken, **one_by_one)
        broken.work()
    with LocalStack(tmp_path / "data", port=0, workers=0) as stack:
        environment = stack.processes["api"].command.environment
        shared = {name: environment[name] for name in ("DATABASE_URL", "REDIS_URL", "DARTBOARD_ARTIFACTS")}
        with LocalStack(tmp_path / "second", port=0, workers=0, environment=shared):
            resumed = worker_of(stack, "broken")
            assert values(resumed.work_until_ended(study)) == undisturbed


def test_without_optuna_a_sample_is_refused_and_other_studies_are_not(service: Service, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    environment = {
        "PYTHONPATH": str(tmp_path),
        "DATABASE_URL": service.database_url,
        "REDIS_URL": service.broker_url,
        "DARTBOARD_ARTIFACTS": str(service.data / "artifacts"),
    }
    with (
        LocalStack(tmp_path / "data", port=0, workers=0, environment=environment) as stack,
        httpx.Client(base_url=stack.url, timeout=20) as http,
    ):
        refused = http.post("/studies", json={**STUDY, "sample": SAMPLE, "pool": "unserved"})
        assert refused.status_code == 422
        assert "pip install optuna" in refused.json()["detail"]
        assert http.post("/studies", json={**STUDY, "pool": "unserved"}).status_code == 201
