"""DARTS-: the branch besides the operations, plain and fused, and its neutral element."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.methods.darts_minus import DartsMinus
from darts_core.methods.registry import method_of
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_PRIMITIVES
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]


def network(*, fused: bool) -> SearchNetwork:
    config = SearchConfig(dataset="digits", method="darts-minus").resolved()
    method = method_of(config)
    method.begin_epoch(3)
    torch.manual_seed(0)
    return SearchNetwork(
        CNN_PRIMITIVES, channels=4, layers=3, classes=3, nodes=3, image_channels=1, fused=fused, method=method
    ).double()


@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("training", [True, False])
def test_the_fused_cell_agrees_with_the_plain_one(side: int, training: bool) -> None:
    images = torch.randn(5, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 0, 1])
    found: list[list[Tensor]] = []
    for fused in (False, True):
        net = network(fused=fused).train(training)
        logits = net(images)
        gradients = torch.autograd.grad(
            F.cross_entropy(logits, labels), [*net.alphas.values(), *net.weights()], materialize_grads=True
        )
        found.append([logits.detach(), *gradients, *net.buffers()])
    assert any("_branch" in name for name in net.state_dict())
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-9, atol=1e-11)


def test_the_branch_adds_its_weight_to_skips_of_stride_1_alone() -> None:
    method = method_of(SearchConfig(dataset="digits", method="darts-minus", nodes=3).resolved())
    alphas = {kind: torch.zeros(9, 8, dtype=torch.float64) for kind in ("normal", "reduce")}
    weights = method.operation_weights(alphas)
    skip = CNN_PRIMITIVES.index("skip_connect")
    assert weights["normal"][:, skip].tolist() == [1.125] * 9
    assert weights["reduce"][:, skip].tolist() == [0.125] * 4 + [1.125] + [0.125] * 2 + [1.125] * 2
    assert (weights["normal"].sum(dim=0).argsort()[:-1] != skip).all()


@pytest.mark.parametrize(
    ("schedule", "expected"), [("linear", [1, 0.5, 0.02]), ("cosine", [1, 0.5, 0.000987]), ("constant", [1, 1, 1])]
)
def test_the_branch_fades_by_its_schedule(schedule: str, expected: list[float]) -> None:
    config = SearchConfig(dataset="digits", method="darts-minus", epochs=50, branch_schedule=schedule).resolved()
    method = method_of(config)
    assert isinstance(method, DartsMinus)
    found = []
    for epoch in (1, 26, 50):
        method.begin_epoch(epoch)
        found.append(method.decay)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("fused", [True, False])
def test_without_a_branch_it_is_darts_bit_for_bit(fused: bool, search_config: MakeSearch, data_root: Path) -> None:
    plain = list(run_search(search_config(epochs=3, fused=fused), data_root=data_root))
    config = search_config(epochs=3, fused=fused, method="darts-minus", branch_scale=0)
    for one, other in zip(plain, run_search(config, data_root=data_root), strict=True):
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert_same_bits(one.checkpoint["alphas"], other.checkpoint["alphas"])


def test_a_branch_of_no_weight_agrees_with_darts(
    search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DartsMinus, "decay", 0.0)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    net = network(fused=True)
    plain = SearchNetwork(CNN_PRIMITIVES, channels=4, layers=3, classes=3, nodes=3, image_channels=1).double()
    plain.load_state_dict({name: t for name, t in net.state_dict().items() if "_branch" not in name})
    plain.load_alphas(net.alphas)
    torch.testing.assert_close(net(images), plain(images), rtol=0, atol=1e-10)
