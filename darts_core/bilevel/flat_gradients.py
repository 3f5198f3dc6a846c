"""Computes the second-order alpha gradient on flat weights; `gradients` is the reference.

DARTS (arXiv:1806.09055), section 2.3. The virtual weights replace the real ones during one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from darts_core.bilevel.flat import FlatWeights, untracked
from darts_core.bilevel.gradients import STEP_NUMERATOR, Mean, first_order

LossParts = Callable[[], Iterable[Tensor]]
"""The loss of a fixed batch at the current weights and alphas, as scalars to be summed, each with its own graph."""


def weight_gradient(parts: Iterable[Tensor], weights: FlatWeights, alphas: Sequence[Tensor] = ()) -> list[Tensor]:
    """Return the gradients of the alphas and the flat gradient of the weights; holds one part's graph at a time."""
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
    """Compute `gradients.second_order`: the direct part minus eta (a scalar tensor) times the implicit part.

    All passes run on the real network. As in the authors' code, the pass at the virtual weights leaves the running
    statistics unchanged, and the other three update them. The weights are restored bit-identically.
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
        # Without a device synchronisation; a zero vector gives a zero product, not 0 / 0.
        step = numerator / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        sides = []
        for side in (step, -step):
            torch.addcmul(before, vector, side, out=values)
            with weights.frozen():
                sides.append(first_order(train_loss, alphas, mean=mean))
    ahead, behind = sides
    return [d - eta * (a - b) / (2 * step) for d, a, b in zip(direct, ahead, behind, strict=True)]
