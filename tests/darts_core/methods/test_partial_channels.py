"""PC-DARTS: the fused cell against the plain one, neutral elements, and the shuffle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.methods.pc_darts import PcDarts
from darts_core.methods.registry import method_of
from darts_core.models.partial import shuffled, unshuffled
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_PRIMITIVES
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]


def network(partial: int, *, fused: bool, channels: int = 8, reductions: list[int] | None = None) -> SearchNetwork:
    config = SearchConfig(dataset="digits", method="pc-darts", channels=channels, partial_channels=partial).resolved()
    torch.manual_seed(0)
    return SearchNetwork(
        CNN_PRIMITIVES,
        channels=channels,
        layers=3,
        classes=3,
        nodes=3,
        image_channels=1,
        reductions=reductions,
        fused=fused,
        method=method_of(config),
    ).double()


@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("partial", [1, 2, 4])
@pytest.mark.parametrize("training", [True, False])
def test_the_fused_cell_agrees_with_the_plain_one(partial: int, side: int, training: bool) -> None:
    images = torch.randn(5, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 0, 1])
    found: list[list[Tensor]] = []
    for fused in (False, True):
        net = network(partial, fused=fused).train(training)
        with torch.no_grad():
            for number, alpha in enumerate(net.alphas.values()):
                alpha.copy_(torch.randn(alpha.shape, generator=torch.Generator().manual_seed(number)))
        logits = net(images)
        loss = F.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, [*net.alphas.values(), *net.weights()], allow_unused=True)
        found.append([logits.detach(), *(g for g in gradients if g is not None), *net.buffers()])
    for plain, fused_one in zip(*found, strict=True):
        torch.testing.assert_close(fused_one, plain, rtol=1e-9, atol=1e-11)


def test_a_gradient_reaches_the_edge_weights_of_the_plain_cell_by_finite_differences() -> None:
    net = network(2, fused=False, channels=4).train()
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    edges = net.alphas["normal_edges"]

    def loss() -> Tensor:
        return F.cross_entropy(net(images), torch.tensor([0, 1, 2]))

    [gradient] = torch.autograd.grad(loss(), edges)
    step = 1e-6
    for edge in range(len(edges)):
        with torch.no_grad():
            edges[edge] += step
            ahead = loss()
            edges[edge] -= 2 * step
            behind = loss()
            edges[edge] += step
        assert ((ahead - behind) / (2 * step)).item() == pytest.approx(gradient[edge].item(), rel=1e-5, abs=1e-9)


def test_shuffle_is_a_view_transpose_and_flatten_as_the_authors_write_it() -> None:
    x = torch.arange(2 * 12 * 2 * 3, dtype=torch.float64).view(2, 12, 2, 3)
    expected = x.view(2, 4, 3, 2, 3).transpose(1, 2).contiguous().view(2, -1, 2, 3)
    assert torch.equal(shuffled(x, 4), expected)
    assert torch.equal(unshuffled(shuffled(x, 4), 4), x)


def ones(_: PcDarts, alphas: dict[str, Tensor]) -> dict[str, Tensor]:
    return {kind: alphas[kind].new_ones(len(alphas[kind])) for kind in ("normal", "reduce")}


@pytest.mark.parametrize("fused", [True, False])
def test_one_part_and_constant_edge_weights_of_1_are_darts_bit_for_bit(
    fused: bool, search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = list(run_search(search_config(epochs=3, fused=fused), data_root=data_root))
    monkeypatch.setattr(
        PcDarts,
        "edge_weights",
        lambda self, alphas: {k: alphas[k].new_ones(len(alphas[k])) for k in ("normal", "reduce")},
    )
    config = search_config(epochs=3, fused=fused, method="pc-darts", partial_channels=1, weights_only_epochs=0)
    neutral = list(run_search(config, data_root=data_root))
    for one, other in zip(plain, neutral, strict=True):
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        for kind in ("normal", "reduce"):
            assert torch.equal(one.checkpoint["alphas"][kind], other.checkpoint["alphas"][kind])


def test_edge_weights_sum_to_1_within_each_node_and_scale_the_strengths() -> None:
    method = method_of(SearchConfig(dataset="digits", method="pc-darts").resolved())
    alphas = {
        "normal": torch.zeros(9, 4, dtype=torch.float64),
        "normal_edges": torch.tensor([[0.0], [1.0], *[[0.5]] * 3, *[[-2.0]] * 4], dtype=torch.float64),
    }
    [weights] = method.edge_weights(alphas).values()
    assert [part.sum().item() for part in torch.split(weights, [2, 3, 4])] == pytest.approx([1, 1, 1])
    assert weights[2:].tolist() == pytest.approx([1 / 3] * 3 + [1 / 4] * 4)
    assert method.strengths(alphas)["normal"][2] == pytest.approx([1 / 12] * 4)


def test_its_alphas_start_as_those_of_darts() -> None:
    torch.manual_seed(0)
    expected = SearchNetwork(CNN_PRIMITIVES, channels=8, layers=3, classes=3, nodes=3, image_channels=1).alphas
    alphas = network(1, fused=False).alphas
    assert set(alphas) == {"normal", "reduce", "normal_edges", "reduce_edges"}
    for kind, table in expected.items():
        assert torch.equal(alphas[kind], table.double())
