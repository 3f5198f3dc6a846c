"""The networks of NAS-Bench-201: their sizes, their formulas, and a search and a training through the loops."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.files.checkpoints import read, save
from darts_core.files.loading import load_network
from darts_core.genotypes import NasBench201Genotype, parse
from darts_core.methods.registry import method_of
from darts_core.models.build import build_supernet
from darts_core.models.nasbench201_network import NasBench201Network
from darts_core.models.nasbench201_supernet import NasBench201SearchNetwork
from darts_core.models.partial import shuffled
from darts_core.primitives import NASBENCH201_PRIMITIVES
from darts_core.profile import Shape, nasbench201_search_cost, profile, shape_of
from darts_core.training.evaluation import run_evaluation
from darts_core.training.search import run_search
from tests.support.nasbench201 import SEARCHED

SIZES: dict[str, Any] = {"channels": 4, "layers": 3, "classes": 3, "image_channels": 1}


def _config(method: MethodName = "darts", **given: Any) -> SearchConfig:
    values = {"epochs": 1, "channels": 8, "layers": 3, "batch_size": 256, "weights_only_epochs": 0, **given}
    return SearchConfig(dataset="digits", space="nasbench201", method=method, **values).resolved()


def _supernet(method: MethodName = "darts", **given: Any) -> NasBench201SearchNetwork:
    torch.manual_seed(0)
    config = _config(method, **given)
    network = build_supernet(config, classes=3, image_channels=1, stem="cifar", fused=True)
    assert isinstance(network, NasBench201SearchNetwork)
    return network


def _images(size: int = 8) -> Tensor:
    return torch.randn(4, 1, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("index", ["333333", "000000", "122124", "333132", "421211"])
def test_networks_have_as_many_parameters_as_profiled(index: str) -> None:
    cell = NasBench201Genotype.of_index(index)
    network = NasBench201Network(cell, channels=16, layers=15, classes=10)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == profile(cell, shape_of("nasbench201")).parameters
    assert counted == 73_306 + 28_000 * index.count("2") + 243_040 * index.count("3")


def test_the_supernet_has_as_many_parameters_as_profiled() -> None:
    for partial, method in ((1, "darts"), (4, "pc-darts")):
        network = _supernet(method)  # type: ignore[arg-type]
        cost = nasbench201_search_cost(NASBENCH201_PRIMITIVES, Shape(8, 3, 3, 8, 1), partial=partial)
        assert sum(weight.numel() for weight in network.weights()) == cost.parameters


@pytest.mark.parametrize("size", [1, 7, 8])
def test_images_of_any_size_pass(size: int) -> None:
    network = NasBench201Network(parse_cell("324132"), **SIZES).double().eval()
    assert network(_images(size)).shape == (4, 3)
    logits, auxiliary = network.with_auxiliary(_images(size))
    assert logits.shape == (4, 3)
    assert auxiliary is None


def parse_cell(index: str) -> NasBench201Genotype:
    cell = parse(index)
    assert isinstance(cell, NasBench201Genotype)
    return cell


@pytest.mark.parametrize("index", ["333132", "012340", "241230"])
def test_one_hot_weights_make_the_supernet_the_cells_network(index: str) -> None:
    """With BatchNorm's scale 1 and shift 0 both networks are the same function."""
    supernet = NasBench201SearchNetwork(NASBENCH201_PRIMITIVES, **SIZES, method=method_of(_config())).double()
    network = NasBench201Network(parse_cell(index), **SIZES).double()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(_of_supernet(name, index, supernet, weight))
        for row, digit in enumerate(index):
            supernet.alphas["cell"][row] = -1e4
            supernet.alphas["cell"][row, int(digit)] = 1e4
    assert supernet.genotype() == parse(index)
    torch.testing.assert_close(network(_images()), supernet(_images()), rtol=0, atol=1e-12)


def _of_supernet(name: str, index: str, supernet: nn.Module, like: Tensor) -> Tensor:
    """The supernet's tensor of a name like `cells.0.layers.2.op.1.weight`; ones or zeros for its BatchNorm's."""
    parts = name.split(".")
    if "layers" in parts:
        edge = parts.index("layers") + 1
        parts[edge - 1 : edge + 1] = ["_ops", parts[edge], "_ops", index[int(parts[edge])]]
    found: Mapping[str, Tensor] = dict(supernet.named_parameters())
    if ".".join(parts) in found:
        return found[".".join(parts)]
    return torch.ones_like(like) if name.endswith("weight") else torch.zeros_like(like)


def test_a_cell_is_the_weighted_sum_of_its_operations() -> None:
    cell = _supernet().double().cells[0]
    weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = torch.randn(4, 8, 8, 8, dtype=torch.float64)
    edges = [edge._ops for edge in cell._ops]  # type: ignore[union-attr]

    def mixed(edge: int, state: Tensor) -> Tensor:
        return torch.stack([weights[edge, k] * op(state) for k, op in enumerate(edges[edge])]).sum(0)

    first = mixed(0, x)
    second = mixed(1, x) + mixed(2, first)
    third = mixed(3, x) + mixed(4, first) + mixed(5, second)
    torch.testing.assert_close(cell(x, weights), third, rtol=0, atol=1e-12)


def test_partial_channels_mix_one_part_and_weigh_the_rest() -> None:
    network = _supernet("pc-darts").double()
    assert set(network.alphas) == {"cell", "cell_edges"}
    assert network.alphas["cell_edges"].shape == (6, 1)
    weights = network.method.operation_weights(network.alphas)["cell"]
    edges = network.method.edge_weights(network.alphas)["cell"]
    assert [float(edges.detach()[first:end].sum()) for first, end in ((0, 1), (1, 3), (3, 6))] == pytest.approx(
        [1, 1, 1]
    )
    torch.testing.assert_close(weights.sum(-1), edges)
    x = torch.randn(4, 8, 8, 8, dtype=torch.float64)
    cell = network.cells[0]
    operations: list[Any] = list(cell._ops[0]._ops)  # type: ignore[index, union-attr]
    mixed = torch.stack([weights[0, k] * op(x[:, :2]) for k, op in enumerate(operations)]).sum(0)
    first = shuffled(torch.cat([mixed, edges[0] * x[:, 2:]], 1), 4)
    hot = torch.zeros(6, 5, dtype=torch.float64)
    hot[0], hot[4, 1] = weights[0], 1.0
    alone = torch.zeros(6, dtype=torch.float64)
    alone[0], alone[4] = edges[0], 1.0
    # Node 3 passes node 1 on, and nothing else.
    torch.testing.assert_close(cell(x, hot, alone), shuffled(first, 4), rtol=0, atol=1e-12)


def test_a_sampled_operation_is_computed_alone() -> None:
    cell = _supernet().double().cells[0]
    digits = [3, 1, 2, 4, 0, 3]
    hot = torch.zeros(6, 5, dtype=torch.float64)
    hot[range(6), digits] = 1.0
    x = torch.randn(4, 8, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(cell(x, hot, None, digits), cell(x, hot), rtol=0, atol=1e-12)


def test_darts_minus_adds_its_branch_to_every_skip_connection() -> None:
    network = _supernet("darts-minus").double()
    plain = torch.softmax(network.alphas["cell"], dim=-1)
    added = network.method.operation_weights(network.alphas)["cell"] - plain
    expected = torch.zeros(6, 5, dtype=torch.float64)
    expected[:, 1] = 1.0
    torch.testing.assert_close(added, expected)


@pytest.mark.parametrize("method", SEARCHED)
def test_every_method_searches_and_its_supernet_is_loaded(method: MethodName, tmp_path: Path) -> None:
    [report] = run_search(_config(method))
    assert isinstance(report.genotype, NasBench201Genotype)
    file = tmp_path / "search.pt"
    save(report.checkpoint, file)
    checkpoint = read(file)
    assert {"cell"} <= set(checkpoint["alphas"]) <= {"cell", "cell_edges"}
    assert set(checkpoint["strengths"]) == {"cell"}
    network = load_network(file)
    assert network.genotype == report.genotype
    assert isinstance(network.network, NasBench201SearchNetwork)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("order", [1, 2])
def test_alphas_of_every_edge_move(order: int) -> None:
    network = _supernet()
    start = network.alphas["cell"].detach().clone()
    [report] = run_search(_config(order=order))
    moved = (report.checkpoint["alphas"]["cell"] - start).abs().sum(dim=1)
    assert (moved > 0).all()


def test_second_order_agrees_with_the_plain_computation() -> None:
    found = [list(run_search(_config(order=2, fused=fused, precision="float64")))[-1] for fused in (True, False)]
    alphas = [report.checkpoint["alphas"]["cell"] for report in found]
    torch.testing.assert_close(alphas[0], alphas[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["darts", "gdas", "pc-darts"])
def test_a_resumed_search_keeps_its_bits(method: MethodName) -> None:
    undisturbed = list(run_search(_config(method, epochs=3)))
    stopped = next(run_search(_config(method, epochs=3)))
    resumed = list(run_search(_config(method, epochs=3), resume_from=stopped.checkpoint))
    ends = [reports[-1].checkpoint for reports in (undisturbed, resumed)]
    for name, alpha in ends[0]["alphas"].items():
        assert torch.equal(alpha, ends[1]["alphas"][name])
    for name, weight in ends[0]["weights"].items():
        assert torch.equal(weight, ends[1]["weights"][name])


def test_the_eigenvalue_is_measured() -> None:
    [report] = run_search(_config(hessian_every=1))
    assert torch.isfinite(torch.tensor(report.metrics["hessian_eigenvalue"]))


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_cell_is_trained_and_its_network_is_loaded(nesterov: bool, tmp_path: Path) -> None:
    given: dict[str, Any] = {"genotype": "333132", "epochs": 1, "channels": 4, "layers": 3, "nesterov": nesterov}
    [report] = run_evaluation(EvaluationConfig(dataset="digits", **given))
    file = tmp_path / "evaluation.pt"
    save(report.checkpoint, file)
    network = load_network(file)
    assert isinstance(network.network, NasBench201Network)
    assert network.genotype == parse("333132")
    assert network.predict([torch.zeros(1, 8, 8, dtype=torch.uint8)])


def test_nesterov_moves_the_weights_otherwise() -> None:
    given: dict[str, Any] = {"genotype": "333132", "epochs": 1, "channels": 4, "layers": 3}
    ends = []
    for nesterov in (False, True):
        [report] = run_evaluation(EvaluationConfig(dataset="digits", nesterov=nesterov, **given))
        ends.append(report.checkpoint["weights"]["classifier.weight"])
    assert not torch.equal(*ends)
