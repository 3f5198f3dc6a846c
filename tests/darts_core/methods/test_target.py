"""The terms of `target`: exact costs, their gradients, a cell that grows cheaper, latencies that are kept by device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.configs.target import CostName, TargetTerm
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.genotypes import Genotype, parse
from darts_core.genotypes.model import CNN_CELLS
from darts_core.genotypes.random_cells import random_genotype
from darts_core.methods.registry import method_of
from darts_core.methods.target import Target
from darts_core.primitives import CNN_PRIMITIVES, NASBENCH201_PRIMITIVES, edges_of
from darts_core.profile import latency, profile
from darts_core.profile.costs import Map
from darts_core.profile.latency import LatencyTable
from darts_core.profile.network import profile_cells
from darts_core.profile.operation_costs import counted_costs, split_costs
from darts_core.profile.shapes import Shape
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]

SHAPES = [
    Shape(channels=16, layers=8, classes=10, image=32),
    Shape(channels=6, layers=5, classes=3, image=17, image_channels=1, reductions=(0, 4)),
    Shape(channels=8, layers=4, classes=5, image=64, stem="imagenet"),
    Shape(channels=4, layers=2, classes=2, image=8, reductions=()),
    Shape(channels=7, layers=4, classes=2, image=8, edge_skips=True),
]
TARGETED = [name for name, method in METHODS.items() if method.targets and "cnn" in method.families]


def discrete(genotype: Genotype) -> dict[str, Tensor]:
    """Operation weights of 1 for the kept operations of a cell, and 0 for all others."""
    found: dict[str, Tensor] = {}
    for cell in CNN_CELLS:
        nodes = genotype.nodes(cell)
        rows = torch.zeros(edges_of(len(nodes)), len(CNN_PRIMITIVES), dtype=torch.float64)
        for node, edges in enumerate(nodes):
            for op, source in edges:
                rows[edges_of(node) + source, [*map(str, CNN_PRIMITIVES)].index(op)] = 1
        found[cell] = rows
    return found


@pytest.mark.parametrize("name", ["multiply_adds", "parameters"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_expected_cost_of_a_discrete_cell_is_that_of_its_network(name: Any, shape: Shape) -> None:
    for seed, nodes, space in ((0, 4, "darts"), (1, 1, None), (2, 3, None), (3, 8, "bench-single-cell")):
        costs = counted_costs(name, CNN_PRIMITIVES, nodes, shape, space)
        target = Target({name: TargetTerm()}, {name: costs}, CNN_PRIMITIVES)
        genotype = random_genotype(seed, nodes=nodes).with_outputs(min(nodes, 4))
        assert target.expected(name, discrete(genotype)).item() == getattr(profile_cells(genotype, shape), name)


@pytest.mark.parametrize("name", ["multiply_adds", "parameters"])
@pytest.mark.parametrize(
    "shape",
    [
        Shape(channels=16, layers=15, classes=10, image=32),
        Shape(channels=6, layers=3, classes=3, image=17, width=9, image_channels=1),
    ],
)
def test_in_nasbench201_too(name: Any, shape: Shape) -> None:
    costs = counted_costs(name, NASBENCH201_PRIMITIVES, 3, shape, "nasbench201")
    target = Target({name: TargetTerm()}, {name: costs}, NASBENCH201_PRIMITIVES)
    for index in ("000000", "111111", "333132", "012344", "423130"):
        rows = torch.zeros(6, 5, dtype=torch.float64)
        rows[range(6), [int(digit) for digit in index]] = 1
        # Edges of any weight, as those of pc-darts.
        rows *= torch.tensor([[1.0], [0.3], [0.7], [0.2], [0.5], [0.3]])
        assert target.expected(name, {"cell": rows}).item() == getattr(profile(parse(index, "cnn"), shape), name)


def test_the_expected_cost_of_uniform_weights_in_nasbench201_is_the_mean_over_all_cells() -> None:
    # 6 edges x 5 operations, of which one is a 1x1 and one a 3x3 convolution.
    shape = Shape(channels=16, layers=15, classes=10, image=32)
    costs = counted_costs("parameters", NASBENCH201_PRIMITIVES, 3, shape, "nasbench201")
    target = Target({"parameters": TargetTerm()}, {"parameters": costs}, NASBENCH201_PRIMITIVES)
    uniform = torch.full((6, 5), 0.2, dtype=torch.float64)
    assert target.expected("parameters", {"cell": uniform}).item() == pytest.approx(73_306 + 6 * (28_000 + 243_040) / 5)


def test_latencies_in_nasbench201_are_of_its_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shape = Shape(channels=2, layers=3, classes=2, image=8, image_channels=1)
    costs = latency.latency_costs(NASBENCH201_PRIMITIVES, 3, shape, torch.device("cpu"), "nasbench201")
    [(kind, rows)] = costs.edges.items()
    assert (kind, len(rows)) == ("cell", 6)
    assert all(len(row) == 5 and min(row) > 0 for row in rows)
    skip, convolution = rows[0][1], rows[0][3]
    assert skip < convolution


@pytest.mark.parametrize("method", TARGETED)
def test_the_terms_have_the_gradient_of_finite_differences(method: MethodName) -> None:
    made = method_of(SearchConfig(dataset="digits", method=method, epochs=20, channels=16).resolved())
    generator = torch.Generator().manual_seed(3)
    tables = made.tables(("normal", "reduce"), 4, 14, len(CNN_PRIMITIVES))
    alphas = {name: torch.randn(t.shape, dtype=torch.float64, generator=generator) for name, t in tables.items()}
    terms: dict[CostName, TargetTerm] = {
        "multiply_adds": TargetTerm(weight=0.7),
        "parameters": TargetTerm(weight=1.3, at_most=100_000),
    }
    costs = {name: counted_costs(name, CNN_PRIMITIVES, 4, SHAPES[0]) for name in ("multiply_adds", "parameters")}
    target = Target(terms, costs, CNN_PRIMITIVES)  # type: ignore[arg-type]

    def penalty(*values: Tensor) -> Tensor:
        return target.penalty(made.expected_weights(dict(zip(alphas, values, strict=True))))

    inputs = tuple(alpha.requires_grad_() for alpha in alphas.values())
    assert torch.autograd.gradcheck(penalty, inputs, atol=1e-8, rtol=1e-8, eps=1e-5)
    assert all(gradient.abs().max() > 0 for gradient in torch.autograd.grad(penalty(*inputs), inputs))


def test_a_limit_that_is_kept_adds_nothing() -> None:
    costs = counted_costs("parameters", CNN_PRIMITIVES, 4, SHAPES[0])
    target = Target({"parameters": TargetTerm(at_most=1e9)}, {"parameters": costs}, CNN_PRIMITIVES)
    alphas = torch.zeros(14, 8, requires_grad=True)
    loss = target.penalty({"normal": alphas.softmax(-1), "reduce": alphas.softmax(-1)})
    [gradient] = torch.autograd.grad(loss, alphas)
    assert (loss.item(), gradient.abs().max().item()) == (0, 0)


@pytest.mark.parametrize("method", TARGETED)
def test_a_heavy_weight_makes_the_expected_cell_cheaper(
    method: str, search_config: MakeSearch, data_root: Path
) -> None:
    def expected(weight: float) -> list[float]:
        target = {"multiply_adds": {"weight": weight}, "parameters": {"weight": weight}}
        config = search_config(method=method, epochs=3, channels=8, weights_only_epochs=0, alpha_lr=0.05, target=target)
        last = list(run_search(config, data_root=data_root))[-1].metrics
        return [last["expected_multiply_adds"], last["expected_parameters"]]

    for cheap, dear in zip(expected(100), expected(0), strict=True):
        assert cheap < 0.99 * dear


@pytest.mark.parametrize("method", ["darts", "pc-darts", "drnas-progressive"])
def test_a_heavy_weight_makes_the_expected_cell_of_nasbench201_cheaper(
    method: str, search_config: MakeSearch, data_root: Path
) -> None:
    def expected(weight: float) -> float:
        config = search_config(
            method=method,
            space="nasbench201",
            primitives=None,
            nodes=3,
            epochs=2,
            channels=8,
            weights_only_epochs=0,
            alpha_lr=0.05,
            target={"parameters": {"weight": weight}},
        )
        return list(run_search(config, data_root=data_root))[-1].metrics["expected_parameters"]

    assert expected(100) < 0.95 * expected(0)


def test_a_search_whose_weight_is_nothing_is_one_without_a_target(search_config: MakeSearch, data_root: Path) -> None:
    plain = list(run_search(search_config(epochs=2), data_root=data_root))[-1].checkpoint
    weighed = list(run_search(search_config(epochs=2, target={"parameters": {"weight": 0}}), data_root=data_root))
    assert_same_bits(plain["alphas"], weighed[-1].checkpoint["alphas"])
    assert_same_bits(plain["weights"], weighed[-1].checkpoint["weights"])


def test_a_resumed_search_keeps_the_latencies_of_its_start(
    search_config: MakeSearch, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = search_config(epochs=2, checkpoint_seconds=AT_EVERY_STEP, target={"latency_ms": {"weight": 1.0}})
    undisturbed = list(run_search(config, data_root=data_root))
    assert undisturbed[0].metrics["expected_latency_ms"] > 0
    control = Recorder()
    # The whole network is measured anew by a run that starts anew, and no operation is.
    reports = run_search(config, data_root=data_root, control=control)
    first = next(reports)
    control.stop_after = control.asked + 1
    with pytest.raises(Stopped):
        next(reports)
    checkpoints.save(control.kept[-1], tmp_path / "middle.pt")
    monkeypatch.setattr(latency, "_milliseconds", lambda *_: pytest.fail("a resumed search measures nothing"))
    [resumed] = run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "middle.pt"))
    assert resumed.checkpoint["resume"]["target"] == first.checkpoint["resume"]["target"]
    edges = [report.checkpoint["resume"]["target"]["latency_ms"]["edges"] for report in (undisturbed[0], first)]
    assert edges[0] == edges[1]


def test_latencies_are_kept_in_a_file_of_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    device = torch.device("cpu")
    place = ("sep_conv_3x3", Map(4, 6, 6), 1)
    with LatencyTable.of(device).kept() as table:
        found = table.latency(place)
    assert found > 0
    assert table.path.parent == tmp_path / "dartboard" / "latency"
    monkeypatch.setattr(latency, "_milliseconds", lambda *_: pytest.fail("measured twice"))
    assert LatencyTable.of(device).latency(place) == found
    table.path.write_text("no JSON")
    with pytest.raises(pytest.fail.Exception, match="measured twice"):
        LatencyTable.of(device).latency(place)


def test_what_no_operation_takes_is_the_rest_of_the_network() -> None:
    # Every layer of these takes one unit, and each network 50 more.
    costs = split_costs(lambda genotype: 50 + 2 * (2 * 3), lambda place: 2.0, ("none", "skip_connect"), 1, SHAPES[1])
    assert costs.edges == {"normal": [[6.0, 6.0]] * 2, "reduce": [[4.0, 4.0]] * 2}
    assert costs.fixed == 50 + 12 - 2 * (6 + 4)


def test_a_number_is_a_limit_and_the_spec_is_read_back_as_it_was_written() -> None:
    config = SearchConfig(dataset="digits", target={"parameters": 1e6, "latency_ms": {"weight": 0.5}}).resolved()
    assert config.target == {"parameters": TargetTerm(weight=1, at_most=1e6), "latency_ms": TargetTerm(weight=0.5)}
    assert SearchConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "gpus", "says"),
    [
        ({"method": "random"}, 1, "target: random takes no target: leave it out"),
        ({}, 2, "target.latency_ms: is measured on one GPU, not on 2: give gpus=1, or weigh multiply_adds"),
    ],
)
def test_a_target_that_does_not_apply_is_refused_by_name(values: dict[str, Any], gpus: int, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SearchConfig(dataset="digits", target={"latency_ms": 3.0}, **values).resolved().check_gpus(gpus)
    assert says in str(refused.value)
