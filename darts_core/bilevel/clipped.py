"""Computes the second-order alpha gradient with clipped gradients, for recurrent cells.

DARTS (arXiv:1806.09055), section 2.3, with the clipping of the authors' code for recurrent cells. The clip coefficient
is at most 1; in the last formula of the authors' code it can exceed 1, although the gradient is not scaled up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from darts_core.bilevel.gradients import STEP_NUMERATOR, implicit_gradient


def clip_coefficient(gradient: Sequence[Tensor], clip: float) -> Tensor:
    """Return the scalar that scales a gradient down to the norm `clip`; 1 if its norm is not larger."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradient]))
    return torch.clamp(clip / (norm + 1e-6), max=1.0)


def clipped_second_order(
    train_loss: Callable[[], Tensor],
    pair_loss: Callable[[], Tensor],
    validation_loss_at: Callable[[Sequence[Tensor]], Tensor],
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    *,
    eta: Tensor,
    clip: float,
    weight_decay: float,
    fixed: Sequence[Tensor] = (),
    numerator: float = STEP_NUMERATOR,
) -> list[Tensor]:
    """Return the alpha gradient of the validation loss at the virtual weights w' = w - eta * (c * grad + decay * w).

    eta: a scalar tensor, as CUDA graphs need.
    train_loss: loss of the virtual step, whose gradient c clips. pair_loss: training loss for both sides of the finite
    difference, with the same dropout masks in each call. The validation gradient in w' is clipped before the product;
    the implicit part is scaled by eta * c. fixed: weights that the virtual step leaves unchanged, although the product
    includes their validation gradient. Returns one tensor per alpha table.
    """
    gradient = torch.autograd.grad(train_loss(), weights, allow_unused=True, materialize_grads=True)
    coefficient = clip_coefficient(gradient, clip)
    with torch.no_grad():
        virtual = [
            (w.clone() if _among(w, fixed) else w - eta * (coefficient * g + weight_decay * w)).requires_grad_()
            for w, g in zip(weights, gradient, strict=True)
        ]
    both = torch.autograd.grad(
        validation_loss_at(virtual), [*alphas, *virtual], allow_unused=True, materialize_grads=True
    )
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    scale = clip_coefficient(vector, clip)
    implicit = implicit_gradient(pair_loss, weights, alphas, [scale * v for v in vector], numerator=numerator)
    return [d - eta * coefficient * i for d, i in zip(direct, implicit, strict=True)]


def _among(weight: Tensor, others: Sequence[Tensor]) -> bool:
    return any(weight is other for other in others)
