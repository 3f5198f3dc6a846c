"""Operations of single edges in every search method: absent ones have no weight, no module and no moving alpha."""

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
from darts_core.errors import Stopped
from darts_core.files.loading import load
from darts_core.genotypes import Genotype
from darts_core.genotypes.edges import placed
from darts_core.methods.drnas import DrNas
from darts_core.methods.registry import method_of
from darts_core.methods.smooth_darts import normalised
from darts_core.models.build import build_supernet
from darts_core.models.operations import Absent, Noise
from darts_core.models.supernet import MixedEdge, SearchCell, SearchNetwork
from darts_core.primitives import edges_of
from darts_core.profile import Shape, search_cost
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]

LISTS = [
    ["skip_connect", "dil_conv_3x3"],
    ["max_pool_3x3"],
    ["none", "skip_connect"],
    ["max_pool_3x3", "skip_connect"],
    ["none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"],
]
EDGES = {"normal": LISTS, "reduce": [LISTS[4], *LISTS[:4]]}
# DARTS- has a skip-connection on every edge.
TRAINED = [name for name, method in METHODS.items() if method.trains and name != "darts-minus"]
OWN: dict[str, dict[str, Any]] = {
    "pc-darts": {"channels": 8, "weights_only_epochs": 0},
    "drnas-progressive": {"stage_operations": [4], "weights_only_epochs": 0},
    "p-darts": {"stage_operations": [4], "stage_added_layers": [0], "weights_only_epochs": 0},
    "rsps": {"sampled_cells": 5, "finalists": 2},
}
DRAWS = 100_000


def masks_of(config: SearchConfig) -> dict[str, Tensor]:
    """True for the operations that edges lack."""
    names = config.primitives or ()
    return {
        kind: torch.tensor([[name not in listed for name in names] for listed in lists])
        for kind, lists in config.lists.items()
    }


def built(config: SearchConfig, **options: Any) -> SearchNetwork:
    torch.manual_seed(0)
    sizes = {"classes": 2, "image_channels": 1, "stem": "cifar", "fused": False, **options}
    network = build_supernet(config, **sizes)
    assert isinstance(network, SearchNetwork)
    return network


@pytest.mark.parametrize("method", TRAINED)
def test_absent_operations_have_no_weight_and_no_alpha_that_moves(
    method: MethodName, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(method=method, edges=EDGES, epochs=2, alpha_weight_decay=0.5, **OWN.get(method, {}))
    *_, last = run_search(config, data_root=data_root)
    masks = masks_of(config)
    # Without a softmax, nothing moves the alpha of `none`, which adds nothing.
    still = torch.tensor([method == "fair-darts" and name == "none" for name in config.primitives or ()])
    assert last.alphas is not None
    for kind, mask in masks.items():
        assert not last.alphas[kind][mask].any()
        assert last.alphas[kind][~mask & ~still].all() or method == "rsps"  # which has none
        strengths = torch.tensor(last.checkpoint["strengths"][kind])
        assert not strengths[mask].any()
        assert (strengths[~mask] > 0).all() or method == "rsps"  # the chosen cell's
    assert isinstance(last.genotype, Genotype)
    for kind in EDGES:
        for op, node, source in placed(getattr(last.genotype, kind)):
            assert op in EDGES[kind][edges_of(node - 2) + source]
    last.save(tmp_path / "search.pt")
    network = load(tmp_path / "search.pt").network
    assert isinstance(network, SearchNetwork)
    network.method.begin_pass("weights")
    for kind, weights in network.method.operation_weights(network.alphas).items():
        assert not weights[masks[kind]].any()
        if method not in ("pc-darts", "rsps", "fair-darts"):
            torch.testing.assert_close(weights.sum(dim=-1), torch.ones(5))


@pytest.mark.parametrize("method", ["darts", "gdas", "drnas"])
def test_a_search_with_edges_resumes_in_the_middle_of_an_epoch_to_the_same_bits(
    method: MethodName, search_config: MakeSearch, data_root: Path
) -> None:
    lists = [[*names, "noise"] for names in LISTS]
    config = search_config(
        method=method, edges={"normal": lists}, primitives=None, epochs=2, checkpoint_seconds=AT_EVERY_STEP
    )
    undisturbed = list(run_search(config, data_root=data_root))
    control = Recorder()
    reports = run_search(config, data_root=data_root, control=control)
    next(reports)
    control.stop_after = control.asked + 1
    with pytest.raises(Stopped):
        next(reports)
    [resumed] = run_search(config, data_root=data_root, resume_from=control.kept[-1])
    assert_same_bits(undisturbed[1].checkpoint, resumed.checkpoint)


def test_absent_operations_are_not_built(search_config: MakeSearch) -> None:
    config = search_config(edges=EDGES, channels=4)
    network = built(config)
    for cell in network.cells:
        assert isinstance(cell, SearchCell)
        lists = EDGES["reduce" if cell.reduction else "normal"]
        for edge, names in zip(cell._ops, lists, strict=True):
            assert isinstance(edge, MixedEdge)
            absent = [isinstance(op, Absent) for op in edge._ops]
            assert absent == [name not in names for name in config.primitives or ()]
    shape = Shape(channels=4, layers=3, classes=2, image=8, image_channels=1)
    cost = search_cost(config.primitives or (), config.nodes, shape, lists=config.lists)
    assert cost.parameters == sum(weight.numel() for weight in network.weights())


def test_lists_of_all_primitives_are_the_space_without_lists_bit_for_bit(
    search_config: MakeSearch, data_root: Path
) -> None:
    primitives = search_config().primitives
    everything = search_config(edges={kind: [primitives] * 5 for kind in EDGES}, fused=False)
    for one, other in zip(
        run_search(everything, data_root=data_root),
        run_search(search_config(fused=False), data_root=data_root),
        strict=True,
    ):
        assert_same_bits(one.checkpoint["alphas"], other.checkpoint["alphas"])
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert one.metrics == other.metrics


def drnas_of(rows: list[list[str]], primitives: list[str]) -> DrNas:
    edges = {"normal": [*rows, *[primitives] * (2 - len(rows))]}
    config = SearchConfig(dataset="digits", method="drnas", nodes=1, primitives=primitives, edges=edges).resolved()
    method = method_of(config)
    assert isinstance(method, DrNas)
    return method


def test_a_masked_dirichlet_is_the_dirichlet_of_the_operations_that_are_left() -> None:
    primitives = ["max_pool_3x3", "skip_connect", "sep_conv_3x3"]
    method = drnas_of([["max_pool_3x3", "sep_conv_3x3"], ["skip_connect"]], primitives)
    alpha = torch.tensor([[0.7, 2.0, -0.4], [0.3, 0.1, 0.5]], dtype=torch.float64, requires_grad=True)
    towards = torch.tensor([1.0, 5.0, -2.0], dtype=torch.float64)
    samples, gradients = [], []
    for step in range(4000):
        method.begin_step(step)
        weights = method.operation_weights({"normal": alpha})["normal"]
        [gradient] = torch.autograd.grad((weights * towards).sum(), alpha)
        samples.append(weights.detach())
        gradients.append(gradient)
    found, moved = torch.stack(samples), torch.stack(gradients)
    torch.testing.assert_close(found.sum(-1), torch.ones_like(found[..., 0]), rtol=0, atol=1e-12)
    assert not found[:, 0, 1].any()
    assert torch.equal(found[:, 1], torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand(4000, 3))
    assert not moved[:, 0, 1].any()
    assert not moved[:, 1].any()
    first, last = 1.7, float(torch.tensor(-0.4).exp())
    share = first / (first + last)
    assert_near(found[:, 0, 0], share)
    # E[3 p - 2] in the alphas: the concentration of the first is alpha + 1, that of the last exp(alpha).
    assert_near(moved[:, 0, 0], 3 * last / (first + last) ** 2)
    assert_near(moved[:, 0, 2], -3 * first / (first + last) ** 2 * last)
    strengths = method.strengths({"normal": alpha})["normal"]
    assert strengths[0] == pytest.approx([share, 0, 1 - share])
    assert strengths[1] == [0, 1, 0]


def assert_near(draws: Tensor, expected: float) -> None:
    error = float(draws.std()) / len(draws) ** 0.5
    assert abs(float(draws.mean()) - expected) < 4 * error


def test_a_perturbation_keeps_absent_operations_at_0() -> None:
    rows = torch.tensor([[0.5, 0.9, -0.2], [-0.5, 0.3, -0.1]])
    absent = torch.tensor([[False, True, False], [False, True, False]])
    assert normalised(rows, absent).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_noise_is_normal_fresh_in_each_pass_and_the_same_for_the_same_step(search_config: MakeSearch) -> None:
    config = search_config(space=None, primitives=["noise", "skip_connect"], channels=4)
    network = built(config)
    outputs: list[Tensor] = []
    noises = [module for module in network.modules() if isinstance(module, Noise)]
    noises[0].register_forward_hook(lambda _, __, out: outputs.append(out))
    images = torch.zeros(64, 1, 8, 8)
    for step in (3, 3, 4):
        network.method.begin_step(step)
        network.method.begin_pass("weights")
        network(images)
    network(images)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])
    assert not torch.equal(outputs[2], outputs[3])
    assert float(outputs[0].mean()) == pytest.approx(0, abs=4 / outputs[0].numel() ** 0.5)
    assert float(outputs[0].std()) == pytest.approx(1, abs=0.02)


def test_noise_has_the_size_of_the_strided_input() -> None:
    noise = Noise(2)
    x = torch.zeros(3, 4, 7, 5, requires_grad=True)
    assert noise(x).shape == (3, 4, 4, 3)
    assert not noise(x).requires_grad
