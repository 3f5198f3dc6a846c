"""The alpha gradient of recurrent cells, against formulas written out by hand and exact second derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core.bilevel.clipped import clip_coefficient
from darts_core.bilevel.gradients import implicit_gradient
from darts_core.bilevel.recurrent import (
    Penalties,
    RecurrentArchitect,
    TextSegment,
    penalised,
    recurrent_search_step,
    recurrent_weight_gradient,
    step_by,
)
from darts_core.data.order import generator
from darts_core.data.text.windows import TextBatch
from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork, cross_entropy
from darts_core.primitives import RNN_PRIMITIVES, RNN_SPACES

ETA, DECAY = 0.5, 1e-2
WORDS, SIZE, BATCH = 11, 6, 4
PENALTIES = Penalties(activation=0.1, slowness=0.2)


def network_of(
    primitives: Sequence[str] = RNN_PRIMITIVES, nodes: int = 3, *, plain: bool = False
) -> RecurrentSearchNetwork:
    torch.manual_seed(0)
    network = RecurrentSearchNetwork(primitives, words=WORDS, size=SIZE, nodes=nodes, plain=plain).double().train()
    with torch.no_grad():  # the small weights of the start would hide half of the formulas in rounding
        for weight in network.weights():
            weight.mul_(10)
    return network


def segment_of(seed: int, length: int = 5) -> TextSegment:
    source = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS, (length + 1, BATCH), generator=source)
    return TextSegment(
        TextBatch(words[:-1], words[1:]), torch.randn(BATCH, SIZE, generator=source, dtype=torch.float64)
    )


def masks(name: str) -> Masks:
    return draw_masks(
        DropoutRates(0.1, 0.2, 0.3, 0.25, 0.4),
        words=WORDS,
        size=SIZE,
        batch=BATCH,
        source=generator(0, name),
        dtype=torch.float64,
    )


def sgd(network: RecurrentSearchNetwork, lr: float = ETA) -> torch.optim.SGD:
    return torch.optim.SGD(network.weights(), lr=lr, weight_decay=DECAY)


def architect_of(
    network: RecurrentSearchNetwork, optimizer: torch.optim.SGD, order: Any, clip: float = 0.25
) -> RecurrentArchitect:
    return RecurrentArchitect(network, optimizer, order=order, lr=0.01, weight_decay=1e-3, grad_clip=clip)


def loss_of(network: RecurrentSearchNetwork, segment: TextSegment, name: str) -> Tensor:
    logits = network(segment.batch.tokens, segment.hidden, masks(name)).logits
    return cross_entropy(logits, segment.batch.targets)


def bits(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.detach().clone() for t in tensors]


def same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def norm(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([t.square().sum() for t in tensors]).sum().sqrt()


TRAINING, VALIDATION = segment_of(1), segment_of(2, length=7)


def test_first_order_is_autograds_gradient_of_the_validation_loss() -> None:
    plain, network = network_of(plain=True), network_of()
    exact = torch.autograd.grad(loss_of(plain, VALIDATION, "validation"), list(plain.alphas.values()))
    ours, _ = architect_of(network, sgd(network), 1).gradient(TRAINING, VALIDATION, masks)
    torch.testing.assert_close(ours, list(exact), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("clip", [0.05, 100.0])
def test_second_order_is_the_clipped_finite_difference_written_out_by_hand(clip: float) -> None:
    network = network_of()
    ours, _ = architect_of(network, sgd(network), 2, clip).gradient(TRAINING, VALIDATION, masks)

    alphas, weights = list(network.alphas.values()), network.weights()
    before = bits(weights)

    def put(values: Sequence[Tensor]) -> None:
        for weight, value in zip(weights, values, strict=True):
            weight.data = value.clone()

    gradient = torch.autograd.grad(loss_of(network, TRAINING, "virtual"), weights)
    c = min(1.0, clip / (norm(gradient).item() + 1e-6))
    put([w - ETA * (c * g + DECAY * w) for w, g in zip(before, gradient, strict=True)])
    direct, *vector = torch.autograd.grad(loss_of(network, VALIDATION, "validation"), [*alphas, *weights])
    v = [min(1.0, clip / (norm(vector).item() + 1e-6)) * x for x in vector]
    step = 1e-2 / norm(v)
    put([w + step * x for w, x in zip(before, v, strict=True)])
    (ahead,) = torch.autograd.grad(loss_of(network, TRAINING, "pair"), alphas)
    put([w - step * x for w, x in zip(before, v, strict=True)])
    (behind,) = torch.autograd.grad(loss_of(network, TRAINING, "pair"), alphas)
    by_hand = direct - ETA * c * (ahead - behind) / (2 * step)

    assert (c < 1) == (clip < 1)  # both sides of the cap are seen
    torch.testing.assert_close(ours[0], by_hand, rtol=0, atol=1e-9)
    assert not torch.allclose(ours[0], direct, atol=1e-7)  # or the comparison would show nothing


def test_finite_difference_approaches_the_exact_product_as_its_step_shrinks() -> None:
    network = network_of(plain=True)  # the fast one cannot be differentiated twice
    alphas, weights = list(network.alphas.values()), network.weights()
    vector = [torch.randn_like(w) for w in weights]
    gradient = torch.autograd.grad(loss_of(network, TRAINING, "pair"), weights, create_graph=True)
    product = sum((g * v).sum() for g, v in zip(gradient, vector, strict=True))
    (exact,) = torch.autograd.grad(product, alphas)  # type: ignore[arg-type]

    def error(numerator: float) -> float:
        (ours,) = implicit_gradient(
            lambda: loss_of(network, TRAINING, "pair"), weights, alphas, vector, numerator=numerator
        )
        return float((ours - exact).norm() / exact.norm())

    assert error(1e-4) < 1e-4
    assert error(1e-4) < error(1e-1)


def test_pair_shares_its_masks_and_no_other_pass_has_them() -> None:
    network = network_of()
    asked: list[str] = []

    def watched(name: str) -> Masks:
        asked.append(name)
        return masks(name)

    architect_of(network, sgd(network), 2).gradient(TRAINING, VALIDATION, watched)
    assert asked == ["virtual", "validation", "pair", "pair"]


@pytest.mark.parametrize(("norm_of", "coefficient"), [(0.1, 1.0), (0.25, 1.0), (1.0, 0.25)])
def test_coefficient_scales_down_and_never_up(norm_of: float, coefficient: float) -> None:
    gradient = [torch.tensor([norm_of * 0.6]), torch.tensor([norm_of * 0.8])]
    assert clip_coefficient(gradient, 0.25).item() == pytest.approx(coefficient, abs=1e-5)


@pytest.mark.parametrize("order", [1, 2])
def test_architect_leaves_the_weights_as_they_were_bit_for_bit(order: int) -> None:
    network = network_of()
    weights, alphas = bits(network.weights()), bits(list(network.alphas.values()))
    architect_of(network, sgd(network), order).step(TRAINING, VALIDATION, masks)
    assert same(network.weights(), weights)
    assert not torch.equal(network.alphas["recurrent"], alphas[0])


def test_weight_step_leaves_the_alphas_as_they_were_bit_for_bit() -> None:
    network = network_of()
    weights, alphas = bits(network.weights()), bits(list(network.alphas.values()))
    found = recurrent_weight_gradient(network, TRAINING, masks("weights"), grad_clip=0.25, penalties=PENALTIES)
    step_by(network, sgd(network), found.gradient)
    assert same(list(network.alphas.values()), alphas)
    assert network.alphas["recurrent"].grad is None
    assert not same(network.weights(), weights)


def test_weight_step_is_sgd_on_the_clipped_gradient_of_the_penalised_loss() -> None:
    network = network_of()
    before = bits(network.weights())
    passed = network(TRAINING.batch.tokens, TRAINING.hidden, masks("weights"))
    loss = cross_entropy(passed.logits, TRAINING.batch.targets)
    loss = loss + 0.1 * passed.dropped.pow(2).mean()
    loss = loss + 0.2 * (passed.outputs[1:] - passed.outputs[:-1]).pow(2).mean()
    gradient = torch.autograd.grad(loss, network.weights())
    c = min(1.0, 0.05 / (norm(gradient).item() + 1e-6))
    found = recurrent_weight_gradient(network, TRAINING, masks("weights"), grad_clip=0.05, penalties=PENALTIES)
    step_by(network, sgd(network), found.gradient)
    for weight, w, g in zip(network.weights(), before, gradient, strict=True):
        torch.testing.assert_close(weight.data, w - ETA * (c * g + DECAY * w), rtol=0, atol=1e-12)


def test_architecture_losses_leave_the_penalties_out() -> None:
    """The architect is given none; a step with absurd ones moves the alphas the same."""
    moved = []
    for penalties in (Penalties(0, 0), Penalties(100, 100)):
        network = network_of()
        optimizer = sgd(network)
        recurrent_search_step(
            network,
            architect_of(network, optimizer, 2),
            optimizer,
            TRAINING,
            VALIDATION,
            masks,
            grad_clip=0.25,
            penalties=penalties,
        )
        moved.append(network.alphas["recurrent"].detach())
    assert torch.equal(*moved)


def test_hidden_states_come_back_apart_and_without_a_graph() -> None:
    network = network_of()
    optimizer = sgd(network, lr=0.0)
    stepped = recurrent_search_step(
        network,
        architect_of(network, optimizer, 1),
        optimizer,
        TRAINING,
        VALIDATION,
        masks,
        grad_clip=0.25,
        penalties=PENALTIES,
    )
    assert not stepped.training.requires_grad
    assert not stepped.validation.requires_grad
    assert stepped.training.shape == stepped.validation.shape == (BATCH, SIZE)
    assert not torch.equal(stepped.training, stepped.validation)


def test_carried_state_matters_and_no_gradient_flows_into_it() -> None:
    network = network_of()
    fresh = TextSegment(VALIDATION.batch, torch.zeros_like(VALIDATION.hidden))
    architect = architect_of(network, sgd(network), 1)
    (carried,), _ = architect.gradient(TRAINING, VALIDATION, masks)
    (zero,), _ = architect.gradient(TRAINING, fresh, masks)
    assert not torch.allclose(carried, zero)


def test_unrolled_pass_leaves_no_trace_in_the_running_statistics() -> None:
    """The training window is seen three times: by the virtual step and on both sides of the finite difference."""
    network = network_of()
    architect_of(network, sgd(network), 2).gradient(TRAINING, VALIDATION, masks)
    cell: Any = network.rnns[0]
    rows, norms_a_row = len(TRAINING.batch.tokens), 1 + cell.nodes
    assert int(cell.bn.num_batches_tracked) == 3 * rows * norms_a_row


@pytest.mark.parametrize("space", [*RNN_SPACES, "one"])
@pytest.mark.parametrize("order", [1, 2])
def test_alphas_of_every_edge_move_in_every_space(space: str, order: int) -> None:
    network = network_of(RNN_SPACES.get(space, ("none", "tanh")))  # type: ignore[call-overload]
    (table,), _ = architect_of(network, sgd(network), order).gradient(TRAINING, VALIDATION, masks)
    assert (table.abs().sum(dim=1) > 0).all()


def test_penalty_of_a_single_row_is_no_nan() -> None:
    network = network_of()
    segment = segment_of(3, length=1)
    passed = network(segment.batch.tokens, segment.hidden)
    assert penalised(cross_entropy(passed.logits, segment.batch.targets), passed, PENALTIES).isfinite()
