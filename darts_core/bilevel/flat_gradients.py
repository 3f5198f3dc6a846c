"""The alpha gradient to second order with the weights in one run: `gradients` in a few calls, and without a copy.

DARTS (arXiv:1806.09055), section 2.3. The virtual weights take the real ones' place for one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from darts_core.bilevel.flat import FlatWeights, untracked
from darts_core.bilevel.gradients import STEP_NUMERATOR, Mean, first_order

LossParts = Callable[[], Iterable[Tensor]]
"""The loss of a fixed batch at the weights and alphas as they are now: scalars with a graph each, to be added up."""


def weight_gradient(parts: Iterable[Tensor], weights: FlatWeights, alphas: Sequence[Tensor] = ()) -> list[Tensor]:
    """Of the alphas, and of the weights in one run; of one part at a time is a graph held in memory."""
    total: list[Tensor] = []
    for part in parts:
        found = weights.gradient(part, alphas)
        total = [a + b for a, b in zip(total, found, strict=True)] if total else found
    return total


def second_order(
    network: nn.Module,
    train_loss: LossParts,
    validation_loss: LossParts,
    weights: FlatWeights,
    alphas: Sequence[Tensor],
    momentum_buffer: Tensor | None,
    *,
    eta: Tensor,
    momentum: float,
    weight_decay: float,
    numerator: float = STEP_NUMERATOR,
    mean: Mean = list,
) -> list[Tensor]:
    """What `gradients.second_order` gives: the direct part minus eta, a scalar, times the implicit one.

    All passes run on the real network. That at the virtual weights leaves no trace in its running statistics, as in
    the authors' code, where it runs on a copy; the other three do. The weights end as they were, bit for bit.
    """
    (direction,) = mean(weight_gradient(train_loss(), weights))
    with weights.kept() as before:
        values = weights.values
        direction = torch.add(direction, before, alpha=weight_decay)
        if momentum_buffer is not None:
            direction.add_(momentum_buffer, alpha=momentum)
        torch.addcmul(before, direction, eta, value=-1, out=values)
        del direction
        with untracked(network):
            *direct, vector = mean(weight_gradient(validation_loss(), weights, alphas))
        norm = torch.linalg.vector_norm(vector)
        # On the device, without asking for the number: a zero vector gives a zero product, not 0 / 0.
        step = numerator / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        sides = []
        for side in (step, -step):
            torch.addcmul(before, vector, side, out=values)
            with weights.frozen():
                sides.append(first_order(train_loss, alphas, mean=mean))
    ahead, behind = sides
    return [d - eta * (a - b) / (2 * step) for d, a, b in zip(direct, ahead, behind, strict=True)]
