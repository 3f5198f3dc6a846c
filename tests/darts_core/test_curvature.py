"""The dominant eigenvalue of the validation loss's Hessian in the alphas, against the Hessian written out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.data.order import generator
from darts_core.models.supernet import SearchNetwork
from darts_core.training.curvature import dominant_eigenvalue, largest_eigenvalue

PRIMITIVES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


@pytest.fixture(params=[False, True], ids=["plain", "fused"])
def network(request: pytest.FixtureRequest) -> Iterator[SearchNetwork]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = SearchNetwork(
            PRIMITIVES, channels=2, layers=3, nodes=2, classes=3, image_channels=1, fused=request.param
        ).double()
        # Away from zero, where all edges are alike and the Hessian nearly is.
        for alpha in made.alphas.values():
            alpha.data = torch.randn_like(alpha)
        yield made


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    return torch.randn(6, 1, 8, 8, generator=source, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])


def exact_hessian(network: SearchNetwork, images: Tensor, labels: Tensor) -> Tensor:
    """(n, n), by torch itself, of a plain network with the same weights."""
    plain = SearchNetwork(PRIMITIVES, channels=2, layers=3, nodes=2, classes=3, image_channels=1).double()
    plain.load_state_dict(network.state_dict())
    tables = {kind: alpha.detach() for kind, alpha in network.alphas.items()}

    def loss(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [table.numel() for table in tables.values()])
        plain.alphas = {k: p.view(t.shape) for (k, t), p in zip(tables.items(), parts, strict=True)}  # type: ignore[misc]
        return F.cross_entropy(plain(images), labels)

    flat = torch.cat([table.reshape(-1) for table in tables.values()])
    return torch.autograd.functional.hessian(loss, flat)  # type: ignore[no-untyped-call,no-any-return]


def test_it_is_the_largest_eigenvalue_of_the_exact_hessian(
    network: SearchNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    exact = torch.linalg.eigvalsh(exact_hessian(network, *batch))[-1].item()
    found = dominant_eigenvalue(network, *batch, generator(0, "hessian", 1), tolerance=1e-9)
    assert exact > 1e-3
    assert found == pytest.approx(exact, rel=1e-6)


def test_with_its_usual_tolerance_it_is_close_enough_to_see_growth(
    network: SearchNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    exact = torch.linalg.eigvalsh(exact_hessian(network, *batch))[-1].item()
    assert dominant_eigenvalue(network, *batch, generator(0, "hessian", 1)) == pytest.approx(exact, rel=1e-3)


def test_it_is_the_same_bits_each_time_and_leaves_no_trace(
    network: SearchNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    alphas = {kind: alpha.clone() for kind, alpha in network.alphas.items()}
    state = torch.get_rng_state()
    fused = [cell.fused for cell in network.cells]
    first, second = (dominant_eigenvalue(network, *batch, generator(0, "hessian", 1)) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(torch.equal(alpha, alphas[kind]) and alpha.grad is None for kind, alpha in network.alphas.items())
    assert all(weight.grad is None for weight in network.weights())
    assert [cell.fused for cell in network.cells] == fused


def test_a_single_operation_leaves_nothing_to_bend() -> None:
    network = SearchNetwork(("skip_connect",), channels=2, layers=3, nodes=2, classes=2, image_channels=1).double()
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = dominant_eigenvalue(network, images, torch.tensor([0, 1, 0, 1]), generator(0))
    assert found == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("size", [1, 2, 7, 30])
@pytest.mark.parametrize("shift", [-20.0, 0.0, 20.0])
def test_lanczos_finds_the_largest_not_the_farthest_from_zero(size: int, shift: float) -> None:
    source = torch.Generator().manual_seed(size)
    square = torch.randn(size, size, dtype=torch.float64, generator=source)
    matrix = square + square.T + shift * torch.eye(size, dtype=torch.float64)
    start = torch.randn(size, dtype=torch.float64, generator=source)
    found = largest_eigenvalue(lambda v: matrix @ v, start, tolerance=1e-12, steps=1000)
    assert found == pytest.approx(torch.linalg.eigvalsh(matrix)[-1].item(), rel=1e-9, abs=1e-9)


def test_lanczos_ends_in_an_invariant_subspace() -> None:
    matrix = torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0], dtype=torch.float64))
    start = torch.ones(4, dtype=torch.float64)
    assert largest_eigenvalue(lambda v: matrix @ v, start, tolerance=0.0, steps=100) == pytest.approx(3, rel=1e-12)
