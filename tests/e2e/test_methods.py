"""Every search method through the whole service: search, cell, retraining, checkpoint; and kills."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.files.checkpoints import read
from darts_core.files.loading import load_network
from darts_core.genotypes import NasBench201Genotype, parse
from darts_core.primitives import edges_of
from tests.support.nasbench201 import SEARCHED
from tests.support.small_search import SEARCH, until

# PC-DARTS gives its operations a quarter of the channels.
_WIDTH = {"pc-darts": 8}
_RETRAINING = {"dataset": "digits", "epochs": 1, "channels": 4, "layers": 3, "batch_size": 256}
pytestmark = pytest.mark.slow

RECURRENT = [name for name, method in METHODS.items() if "rnn" in method.families]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_searches_and_its_cell_is_retrained(
    method: MethodName, submit: Callable[..., JobOut], dartboard: Dartboard, tmp_path: Path
) -> None:
    search = dartboard.wait(submit(method=method, epochs=1, channels=_WIDTH.get(method, 4), weights_only_epochs=0))
    assert search.status == "succeeded", search.error
    assert search.spec["method"] == method
    [epoch] = dartboard.epochs(search.id)
    assert epoch.alphas is not None
    assert {"normal", "reduce"} <= set(epoch.alphas)
    drawn = dartboard.genotype(search.id)
    assert str(drawn).startswith("Genotype(normal=[(")
    assert drawn.model_dump(mode="json")["normal"] == (epoch.genotype or {})["normal"]
    trained = dartboard.wait(dartboard.submit("evaluation", {**_RETRAINING, "search_id": str(search.id)}))
    assert trained.status == "succeeded", trained.error
    checkpoint = read(dartboard.download_checkpoint(trained.id, tmp_path))
    assert checkpoint["genotype"]["normal"] == (epoch.genotype or {})["normal"]


@pytest.mark.parametrize("method", SEARCHED)
def test_a_method_searches_in_nasbench201(
    method: MethodName, dartboard: Dartboard, stack: LocalStack, tmp_path: Path
) -> None:
    spec = {"dataset": "digits", "space": "nasbench201", "layers": 3, "epochs": 1, "batch_size": 256}
    spec |= {"method": method, "channels": _WIDTH.get(method, 4), "weights_only_epochs": 0}
    search = dartboard.wait(dartboard.submit("search", spec))
    assert search.status == "succeeded", search.error
    [epoch] = dartboard.epochs(search.id)
    cell = parse(epoch.genotype or {})
    assert isinstance(cell, NasBench201Genotype)
    with httpx.Client(base_url=f"{stack.url}/searches/{search.id}") as http:
        formats = {name: http.get(f"/genotype?format={name}") for name in ("python", "json")}
        assert parse(formats["python"].text) == parse(formats["json"].json()) == cell
        assert http.get("/genotype?format=mmrazor").status_code == 422
        assert http.get("/cells/cell.svg").status_code == 200
        assert len(http.get("/alphas").json()["cell"]) == 6
    trained = dartboard.wait(dartboard.submit("evaluation", {**_RETRAINING, "search_id": str(search.id)}))
    assert trained.status == "succeeded", trained.error
    network = load_network(dartboard.download_checkpoint(trained.id, tmp_path))
    assert network.genotype == cell


def test_a_search_in_s1_finds_a_cell_of_its_edges_operations(
    submit: Callable[..., JobOut], dartboard: Dartboard
) -> None:
    search = dartboard.wait(submit(space="s1", nodes=4, epochs=1, channels=4))
    assert search.status == "succeeded", search.error
    edges = search.spec["edges"]
    for options in ({}, {"rank": 2}):
        cell = dartboard.genotype(search.id, **options).model_dump(mode="json")
        for kind in ("normal", "reduce"):
            for place, (operation, source) in enumerate(cell[kind]):
                assert operation in edges[kind][edges_of(place // 2) + source]
    [epoch] = dartboard.epochs(search.id)
    strengths = epoch.strengths or {}
    for kind, lists in edges.items():
        assert [sum(strength > 0 for strength in row) for row in strengths[kind]] == [len(names) for names in lists]


@pytest.mark.parametrize("method", RECURRENT)
def test_a_method_searches_recurrent_cells(method: MethodName, dartboard: Dartboard) -> None:
    spec = {"family": "rnn", "dataset": "python-docs", "hidden_size": 4, "nodes": 2, "epochs": 1, "batch_size": 256}
    search = dartboard.wait(dartboard.submit("search", {**spec, "method": method, "bptt": 200}))
    assert search.status == "succeeded", search.error
    assert dartboard.epochs(search.id)[0].genotype is not None


@pytest.mark.parametrize("method", ["gdas", "sdarts-rs", "pc-darts"])
def test_a_killed_search_ends_with_the_same_alphas_bit_for_bit(
    method: MethodName,
    submit: Callable[..., JobOut],
    dartboard: Dartboard,
    worker_child: Callable[[], psutil.Process],
) -> None:
    spec: dict[str, Any] = {**SEARCH, "method": method, "epochs": 3, "batch_size": 32, "channels": 8}
    undisturbed = dartboard.wait(submit(**spec))
    job = submit(**spec)
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
    worker_child().kill()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    alphas = [[epoch.alphas for epoch in dartboard.epochs(found.id)] for found in (undisturbed, ended)]
    assert alphas[0] == alphas[1]


def test_a_search_killed_while_it_trains_epochs_again_ends_with_the_same_alphas_bit_for_bit(
    submit: Callable[..., JobOut], dartboard: Dartboard, worker_child: Callable[[], psutil.Process]
) -> None:
    """Any growth lets R-DARTS go back: after epoch 7 to epoch 1. Epoch 8 has the steps of seven."""
    rule = {"hessian_every": 1, "growth_limit": 0, "rollback_from": 1, "weight_decay_max": 9e-4}
    spec: dict[str, Any] = {**SEARCH, "method": "r-darts-ada", "epochs": 8, "checkpoint_seconds": 0.2, **rule}
    spec["primitives"] = ["none", "skip_connect", "dil_conv_3x3"]
    undisturbed = dartboard.wait(submit(**spec))
    job = submit(**spec)
    usual = until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 7).data["steps"]
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 8 and e.data["step"] > 3 * usual)
    worker_child().kill()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    epochs = [dartboard.epochs(found.id) for found in (undisturbed, ended)]
    for found in epochs:
        assert [epoch.metrics.get("rolled_back_to") for epoch in found] == [*[None] * 6, 1, None]
        assert [epoch.metrics["weight_decay"] for epoch in found] == pytest.approx([3e-4] * 7 + [9e-4])
        assert found[6].alphas == found[0].alphas
    assert [epoch.alphas for epoch in epochs[0]] == [epoch.alphas for epoch in epochs[1]]
    assert ended.progress is not None
    assert ended.progress.steps == 7 * usual


def test_a_guarded_search_killed_behind_its_roll_back_stops_with_the_same_alphas_and_reason(
    submit: Callable[..., JobOut], dartboard: Dartboard, worker_child: Callable[[], psutil.Process]
) -> None:
    """The target leaves skip-connections alone: after epoch 4 the search goes back to 2, after 6 it stops."""
    spec: dict[str, Any] = {**SEARCH, "guard": "auto", "epochs": 9, "weights_only_epochs": 2, "checkpoint_seconds": 0.2}
    spec |= {
        "primitives": ["dil_conv_3x3", "skip_connect"],
        "alpha_lr": 0.1,
        "target": {"parameters": {"weight": 1000}},
    }
    undisturbed = dartboard.wait(submit(**spec))
    job = submit(**spec)
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 5)
    worker_child().kill()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert ended.result == undisturbed.result
    assert ended.result is not None
    assert ended.result["stopped_early"]["reason"] in str(ended.status_reason)
    epochs = [dartboard.epochs(found.id) for found in (undisturbed, ended)]
    assert [epoch.metrics.get("rolled_back_to") for epoch in epochs[1]] == [None, None, None, 2, None, 2]
    assert [epoch.alphas for epoch in epochs[0]] == [epoch.alphas for epoch in epochs[1]]
    said = [line.message for line in dartboard.logs(job.id) if line.message.startswith("guard:")]
    assert ["goes back" in said[0], "again; the cell is that of epoch 2" in said[1]] == [True, True]
    assert len(said) == 2


def test_a_selection_follows_a_search_and_resumes_in_a_projection(
    submit: Callable[..., JobOut], dartboard: Dartboard, worker_child: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    search = dartboard.wait(submit(epochs=1, nodes=1, channels=4))
    body = {"select": "perturbation", "search_id": str(search.id), "selection_interval": 1, "pool": search.pool}
    undisturbed = dartboard.wait(dartboard.submit("search", body))
    assert undisturbed.status == "succeeded", undisturbed.error
    job = dartboard.submit("search", {**body, "checkpoint_seconds": 1e-9})
    until(dartboard.follow(job), lambda e: e.kind == "step" and e.data["epoch"] == 2)
    worker_child().kill()
    ended = dartboard.wait(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    epochs = [list(dartboard.epochs(found.id)) for found in (undisturbed, ended)]
    assert [epoch.alphas for epoch in epochs[0]] == [epoch.alphas for epoch in epochs[1]]
    assert [epoch.genotype for epoch in epochs[0]] == [epoch.genotype for epoch in epochs[1]]
    for table in (epochs[0][-1].strengths or {}).values():
        assert [sorted(row)[-2:] for row in table] == [[0, 1], [0, 1]]
    lines = [str(line.message) for line in dartboard.logs(undisturbed.id)]
    assert len([line for line in lines if " cell: edge " in line and " keeps " in line]) == 4
    checkpoint = read(dartboard.download_checkpoint(undisturbed.id, tmp_path))
    assert checkpoint["spec"]["select"] == "perturbation"
    trained = dartboard.wait(dartboard.submit("evaluation", {**_RETRAINING, "search_id": str(ended.id)}))
    assert trained.status == "succeeded", trained.error
    scored = dartboard.wait(dartboard.submit("score", {"search_id": str(ended.id)}))
    assert scored.status == "succeeded", scored.error
