"""The alpha gradient to second order with clipped gradients, as recurrent cells need it.

DARTS (arXiv:1806.09055), section 2.3, with the clipping of its authors' code for recurrent cells. Where they leave the
virtual step's coefficient above 1 in the last formula though the gradient was not scaled up, it is 1 here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from darts_core.bilevel.gradients import STEP_NUMERATOR, implicit_gradient


def clip_coefficient(gradient: Sequence[Tensor], clip: float) -> Tensor:
    """What scales a gradient down to the norm `clip`, a scalar; 1 for one that is not longer."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradient]))
    return torch.clamp(clip / (norm + 1e-6), max=1.0)


def clipped_second_order(
    train_loss: Callable[[], Tensor],
    pair_loss: Callable[[], Tensor],
    validation_loss_at: Callable[[Sequence[Tensor]], Tensor],
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    *,
    eta: float,
    clip: float,
    weight_decay: float,
    fixed: Sequence[Tensor] = (),
    numerator: float = STEP_NUMERATOR,
) -> list[Tensor]:
    """The alpha gradient of the validation loss at the virtual weights w' = w - eta * (c * grad + decay * w).

    train_loss: of the virtual step; c clips its gradient. pair_loss: the training loss for both sides of the finite
    difference, which must draw the same dropout masks each time. The validation gradient in w' is clipped before the
    product; the implicit part is taken eta * c times. fixed: weights that the virtual step leaves where they are; the
    validation gradient in them is part of the product all the same. One tensor an alpha table.
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
