"""Every search method: repeatable, resumable, reloadable, and alphas that move by the architect alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.files.loading import load
from darts_core.genotypes import softmaxed
from darts_core.methods.registry import IMPLEMENTATIONS
from darts_core.methods.smooth_darts import SmoothDarts
from darts_core.models.supernet import SearchNetwork
from darts_core.training.reports import EpochReport
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]

TRAINED = [name for name, method in METHODS.items() if method.trains]
WITH_ALPHAS = [name for name, method in METHODS.items() if method.trains_alphas]


# Two channels, as in the other specs here, have no four parts.
OWN: dict[str, dict[str, Any]] = {
    "pc-darts": {"channels": 8},
    # Later stages begin with new alphas.
    "p-darts": {"stage_operations": [4], "stage_added_layers": [0]},
    "drnas-progressive": {"stage_operations": [4]},
}


def searched(config: SearchConfig, data_root: Path) -> list[EpochReport]:
    return list(run_search(config, data_root=data_root))


def same_runs(left: list[EpochReport], right: list[EpochReport]) -> None:
    for one, other in zip(left, right, strict=True):
        assert_same_bits(one.checkpoint["alphas"], other.checkpoint["alphas"])
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert one.metrics == other.metrics


def test_every_method_has_an_implementation() -> None:
    assert set(IMPLEMENTATIONS) == set(METHODS)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("method", TRAINED)
def test_a_search_killed_in_the_middle_of_an_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    method: str, fused: bool, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(
        method=method,
        fused=fused,
        epochs=2,
        checkpoint_seconds=AT_EVERY_STEP,
        weights_only_epochs=0,
        **OWN.get(method, {}),
    )
    undisturbed = searched(config, data_root)
    control = Recorder()
    reports = run_search(config, data_root=data_root, control=control)
    next(reports)
    control.stop_after = control.asked + 1
    with pytest.raises(Stopped):
        next(reports)
    checkpoints.save(control.kept[-1], tmp_path / "middle.pt")
    [resumed] = run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "middle.pt"))
    assert_same_bits(undisturbed[1].checkpoint, resumed.checkpoint)


@pytest.mark.parametrize("method", WITH_ALPHAS)
def test_alphas_rest_in_the_epochs_that_train_weights_only(
    method: str, search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(method=method, epochs=2, weights_only_epochs=1, **OWN.get(method, {}))
    first, second = searched(config, data_root)
    assert first.alphas is not None
    assert second.alphas is not None
    # 1e-3 times a normal number for each alpha: nothing has moved them.
    assert max(float(table.abs().max()) for table in first.alphas.values()) < 6e-3
    assert not torch.equal(first.alphas["normal"], second.alphas["normal"])


@pytest.mark.parametrize("method", list(METHODS))
def test_a_checkpoint_reloads_with_its_method_and_derives_the_same_cell(
    method: MethodName, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    report = searched(search_config(method=method, epochs=1, **OWN.get(method, {})), data_root)[-1]
    report.save(tmp_path / "search.pt")
    network = load(tmp_path / "search.pt").network
    assert isinstance(network, SearchNetwork)
    assert type(network.method) is IMPLEMENTATIONS[method]
    assert network.genotype() == report.genotype
    strengths = network.strengths()
    assert strengths == report.checkpoint["strengths"]
    if method == "fair-darts":  # the weight of each operation is its own
        return
    # Shares of an edge, or with edge weights those of a node.
    totals = {"pc-darts": 2, "rsps": 4}.get(method, 5)
    assert [sum(map(sum, table)) for table in strengths.values()] == pytest.approx([totals, totals])


@pytest.mark.parametrize(
    ("method", "neutral"),
    [
        ("beta-darts", {"beta_regularisation": 0}),
        ("sdarts-rs", {"perturbation_max": 0}),
        ("sdarts-adv", {"perturbation_max": 0}),
    ],
)
def test_a_neutral_method_is_darts_bit_for_bit(
    method: str, neutral: dict[str, float], search_config: MakeSearch, data_root: Path
) -> None:
    plain = searched(search_config(epochs=3), data_root)
    same_runs(plain, searched(search_config(epochs=3, method=method, **neutral), data_root))


def test_smoothings_own_path_agrees_with_darts_at_radius_0(
    search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = searched(search_config(epochs=3, precision="float64"), data_root)[-1]
    monkeypatch.setattr(SmoothDarts, "radius", 5e-324)  # not 0, and lost in every sum
    smoothed = searched(search_config(epochs=3, precision="float64", method="sdarts-rs"), data_root)[-1]
    for kind, table in plain.checkpoint["alphas"].items():
        torch.testing.assert_close(smoothed.checkpoint["alphas"][kind], table, rtol=0, atol=1e-10)


def test_random_answers_one_epoch_with_the_cell_of_its_seed(search_config: MakeSearch, data_root: Path) -> None:
    cells = set()
    for seed in (0, 1):
        [report] = searched(search_config(method="random", epochs=5, seed=seed), data_root)
        assert report.alphas is not None
        assert not report.alphas["normal"].any()
        assert report.checkpoint["strengths"] == softmaxed(
            {kind: table.tolist() for kind, table in report.alphas.items()}
        )
        cells.add(report.genotype)
    assert len(cells) == 2


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"temperature_end": 0.1}, "temperature_end", "gdas, snas, not of darts"),
        ({"method": "gdas", "order": 2}, "order", "gdas has no second order"),
        ({"method": "random", "weights_only_epochs": 1}, "weights_only_epochs", "trains no weights"),
        ({"method": "rsps", "weights_only_epochs": 1}, "weights_only_epochs", "trains no alphas"),
        ({"method": "rsps", "stop_when": {"skip_connects": ">2"}}, "stop_when", "trains no alphas"),
        ({"method": "rsps", "hessian_every": 1}, "hessian_every", "trains no alphas"),
        ({"method": "rsps", "sampled_cells": 5, "finalists": 6}, "finalists", "more than the 5 sampled cells"),
        ({"finalists": 6}, "finalists", "field of rsps, not of darts"),
        ({"weights_only_epochs": 50, "epochs": 50}, "weights_only_epochs", "leave none that trains the alphas"),
    ],
)
def test_a_method_refuses_what_it_cannot_do_by_name(values: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig(dataset="digits", **values).resolved()
    assert [(p.loc, message in p.msg) for p in caught.value.problems] == [((field,), True)]


def test_a_method_refuses_more_gpus_than_it_supports() -> None:
    with pytest.raises(ConfigError, match="gdas searches on 1 GPU, not on 2"):
        SearchConfig(dataset="digits", method="gdas").resolved().check_gpus(2)
