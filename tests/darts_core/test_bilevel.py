"""The alpha gradient, against formulas written out by hand and against exact second derivatives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.gradients import implicit_gradient
from darts_core.bilevel.step import search_step, weight_step
from darts_core.data.batches import Batch
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from darts_core.spaces.space import CELLS

ETA, MOMENTUM, DECAY = 0.05, 0.9, 3e-4
PRIMITIVES = ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


def network_of(primitives: Sequence[str] = PRIMITIVES, **options: object) -> SearchNetwork:
    torch.manual_seed(0)
    sizes = {"channels": 2, "layers": 3, "nodes": 2, "classes": 3, "image_channels": 1, **options}
    return SearchNetwork(primitives, **sizes).double().train()  # type: ignore[arg-type]


def batch_of(seed: int, size: int = 6) -> Batch:
    source = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 1, 5, 4, generator=source, dtype=torch.float64)
    return Batch(images, torch.randint(3, (size,), generator=source))


def sgd(network: SearchNetwork) -> torch.optim.SGD:
    return torch.optim.SGD(network.weights(), lr=ETA, momentum=MOMENTUM, weight_decay=DECAY)


def architect_of(network: SearchNetwork, optimizer: torch.optim.SGD, order: int) -> Architect:
    return Architect(network, optimizer, order=order, lr=0.01, weight_decay=1e-3)  # type: ignore[arg-type]


def loss_of(network: SearchNetwork, batch: Batch) -> Tensor:
    return F.cross_entropy(network(batch.images), batch.labels)


def bits(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.detach().clone() for t in tensors]


def same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


TRAINING, VALIDATION = batch_of(1), batch_of(2)


def test_first_order_is_autograds_gradient_of_the_validation_loss() -> None:
    network = network_of()
    alphas = list(network.alphas.values())
    exact = torch.autograd.grad(loss_of(network, VALIDATION), alphas)
    assert same(architect_of(network, sgd(network), 1).gradient(TRAINING, VALIDATION), exact)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_second_order_is_the_finite_difference_written_out_by_hand(steps_before: int) -> None:
    network = network_of()
    optimizer = sgd(network)
    for _ in range(steps_before):  # so that there are momentum buffers
        weight_step(network, optimizer, TRAINING, 5.0)
    ours = architect_of(network, optimizer, 2).gradient(TRAINING, VALIDATION)

    alphas, weights = list(network.alphas.values()), network.weights()
    before = bits(weights)

    def put(values: Sequence[Tensor]) -> None:
        for weight, value in zip(weights, values, strict=True):
            weight.data = value.clone()

    gradient = torch.autograd.grad(loss_of(network, TRAINING), weights)
    buffers = [optimizer.state[w]["momentum_buffer"] if steps_before else torch.zeros_like(w) for w in weights]
    put([w - ETA * (MOMENTUM * m + g + DECAY * w) for w, m, g in zip(before, buffers, gradient, strict=True)])
    both = torch.autograd.grad(loss_of(network, VALIDATION), [*alphas, *weights])
    direct, vector = both[:2], both[2:]
    step = 1e-2 / torch.cat([v.flatten() for v in vector]).norm()
    put([w + step * v for w, v in zip(before, vector, strict=True)])
    ahead = torch.autograd.grad(loss_of(network, TRAINING), alphas)
    put([w - step * v for w, v in zip(before, vector, strict=True)])
    behind = torch.autograd.grad(loss_of(network, TRAINING), alphas)
    by_hand = [d - ETA * (a - b) / (2 * step) for d, a, b in zip(direct, ahead, behind, strict=True)]

    for a, b in zip(ours, by_hand, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)
    first = torch.autograd.grad(loss_of(network, VALIDATION), alphas)
    assert not torch.allclose(ours[0], first[0], atol=1e-6)  # or the comparison would show nothing


def test_finite_difference_approaches_the_exact_product_as_its_step_shrinks() -> None:
    network = network_of()
    alphas, weights = list(network.alphas.values()), network.weights()
    vector = [torch.randn_like(w) for w in weights]
    gradient = torch.autograd.grad(loss_of(network, TRAINING), weights, create_graph=True)
    product = sum((g * v).sum() for g, v in zip(gradient, vector, strict=True))
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(product, alphas)])  # type: ignore[arg-type]

    def error(numerator: float) -> float:
        ours = implicit_gradient(lambda: loss_of(network, TRAINING), weights, alphas, vector, numerator=numerator)
        return float((torch.cat([o.flatten() for o in ours]) - exact).norm() / exact.norm())

    assert error(1e-5) < 1e-4
    assert error(1e-5) < error(1e-2)


@pytest.mark.parametrize("order", [1, 2])
def test_architect_leaves_the_weights_as_they_were_bit_for_bit(order: int) -> None:
    network = network_of().float()
    optimizer = sgd(network)
    training, validation = (Batch(b.images.float(), b.labels) for b in (TRAINING, VALIDATION))
    architect = architect_of(network, optimizer, order)
    search_step(network, architect, optimizer, training, validation, 5.0)
    weights, alphas = bits(network.weights()), bits(list(network.alphas.values()))
    architect.step(training, validation)
    assert same(network.weights(), weights)
    assert not torch.equal(network.alphas["normal"], alphas[0])


def test_weight_step_leaves_the_alphas_as_they_were_bit_for_bit() -> None:
    network = network_of()
    weights, alphas = bits(network.weights()), bits(list(network.alphas.values()))
    weight_step(network, sgd(network), TRAINING, 5.0)
    assert same(list(network.alphas.values()), alphas)
    assert all(alpha.grad is None for alpha in network.alphas.values())
    assert not same(network.weights(), weights)


def test_weight_step_clips_the_gradients_norm() -> None:
    network = network_of()
    before = bits(network.weights())
    weight_step(network, torch.optim.SGD(network.weights(), lr=1.0), TRAINING, grad_clip=1e-3)
    moved = torch.cat([(a - b).flatten() for a, b in zip(network.weights(), before, strict=True)]).norm().item()
    assert moved == pytest.approx(1e-3, rel=1e-2)


def test_unrolled_forward_leaves_no_trace_in_the_running_statistics() -> None:
    network = network_of()
    before = bits(list(network.buffers()))
    architect = architect_of(network, sgd(network), 2)
    architect._loss_at([w.detach() for w in network.weights()], VALIDATION)
    assert same(list(network.buffers()), before)


def test_second_order_shows_the_real_network_the_training_batch_three_times_and_nothing_else() -> None:
    """Once for the virtual step and once on each side of the finite difference, as in the authors' code."""
    network = network_of()
    architect_of(network, sgd(network), 2).gradient(TRAINING, VALIDATION)
    assert {int(b) for name, b in network.named_buffers() if name.endswith("num_batches_tracked")} == {3}


@pytest.mark.parametrize("space", [*(name for name, space in SPACES.items() if space.cells == CELLS), "pools", "one"])
@pytest.mark.parametrize("order", [1, 2])
def test_alphas_move_in_every_space(space: str, order: int) -> None:
    own = {"pools": ("none", "max_pool_3x3", "avg_pool_3x3"), "one": ("none", "skip_connect")}
    network = network_of(own.get(space) or SPACES[space].primitives)  # type: ignore[index]
    optimizer = sgd(network)
    gradient = architect_of(network, optimizer, order).gradient(TRAINING, VALIDATION)
    for table in gradient:
        assert (table.abs().sum(dim=1) > 0).all()  # every edge


def test_alphas_of_an_absent_kind_of_cell_have_no_gradient() -> None:
    network = network_of(layers=1, reductions=())
    gradient = dict(
        zip(network.alphas, architect_of(network, sgd(network), 2).gradient(TRAINING, VALIDATION), strict=True)
    )
    assert torch.count_nonzero(gradient["normal"])
    assert not torch.count_nonzero(gradient["reduce"])


def test_zero_vector_gives_a_zero_product() -> None:
    network = network_of()
    vector = [torch.zeros_like(w) for w in network.weights()]
    for table in implicit_gradient(
        lambda: loss_of(network, TRAINING), network.weights(), list(network.alphas.values()), vector
    ):
        assert not torch.count_nonzero(table)
