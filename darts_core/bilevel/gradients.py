"""Computes the gradient of the validation loss in the alphas, to first and second order.

DARTS (arXiv:1806.09055), section 2.3. Independent of the network: losses are closures, weights and alphas are lists of
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Parts = Tensor | Iterable[Tensor]
"""A scalar with a graph, or several to be summed, of which one graph at a time is held in memory."""

Loss = Callable[[], Parts]
"""The loss of a fixed batch at the current weights and alphas."""

LossAt = Callable[[Sequence[Tensor]], Parts]
"""The same at the given weights, in the network's order; leaves the network unchanged."""

Mean = Callable[[Sequence[Tensor]], list[Tensor]]
"""Averages gradients over all ranks that share a batch."""

# Numerator of the finite difference's step: small relative to ||v||, large relative to float32 rounding.
STEP_NUMERATOR = 1e-2


def first_order(validation_loss: Loss, alphas: Sequence[Tensor], *, mean: Mean = list) -> list[Tensor]:
    """Return the alpha gradient at the current weights: equation 7 with an inner learning rate of 0.

    One tensor per alpha table, of the same shape; zeros if the loss does not depend on it.
    """
    return mean(_gradient(validation_loss(), alphas))


def virtual_weights(
    train_loss: Loss,
    weights: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor | None],
    *,
    eta: float,
    momentum: float,
    weight_decay: float,
    mean: Mean = list,
) -> list[Tensor]:
    """Return the weights after one virtual step of SGD: w' = w - eta * (momentum * buf + grad + decay * w).

    A missing buffer (before the first step) counts as zeros. As in the authors' code, the gradient is not clipped. The
    result consists of new leaf tensors that require gradients.
    """
    gradients = mean(_gradient(train_loss(), weights))
    virtual = []
    with torch.no_grad():
        for weight, gradient, buffer in zip(weights, gradients, momentum_buffers, strict=True):
            direction = gradient + weight_decay * weight
            if buffer is not None:
                direction = direction + momentum * buffer
            virtual.append((weight - eta * direction).requires_grad_())
    return virtual


def implicit_gradient(
    train_loss: Loss,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    vector: Sequence[Tensor],
    *,
    numerator: float = STEP_NUMERATOR,
    mean: Mean = list,
) -> list[Tensor]:
    """Multiply the mixed second derivative of the training loss by `vector`, by finite differences: equation 8.

    vector: the validation gradient at the virtual weights, one tensor per weight, equal on all ranks. The step is
    numerator / ||vector||.

    Shifts the weights in place for two passes and restores them bit-identically, also after an exception. In training
    mode, both passes update the network's running statistics, as in the authors' code. Returns one tensor per alpha
    table; zeros if the vector is zero.
    """
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in vector]))
    # Without a device synchronisation; a zero vector gives a zero product, not 0 / 0.
    step = numerator / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    kept = [weight.detach().clone() for weight in weights]
    try:
        _shift(weights, kept, vector, step)
        ahead = first_order(train_loss, alphas, mean=mean)
        _shift(weights, kept, vector, -step)
        behind = first_order(train_loss, alphas, mean=mean)
    finally:
        # Adding the step back, as the authors' code does, would leave rounding errors in the weights.
        with torch.no_grad():
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)
    return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]


def second_order(
    train_loss: Loss,
    validation_loss_at: LossAt,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor | None],
    *,
    eta: float,
    momentum: float,
    weight_decay: float,
    numerator: float = STEP_NUMERATOR,
    mean: Mean = list,
) -> list[Tensor]:
    """Return the alpha gradient of the validation loss at the virtual weights: equation 7.

    The direct part minus eta times the implicit part through the virtual weights.
    """
    virtual = virtual_weights(
        train_loss, weights, momentum_buffers, eta=eta, momentum=momentum, weight_decay=weight_decay, mean=mean
    )
    both = mean(_gradient(validation_loss_at(virtual), [*alphas, *virtual]))
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    implicit = implicit_gradient(train_loss, weights, alphas, vector, numerator=numerator, mean=mean)
    return [d - eta * i for d, i in zip(direct, implicit, strict=True)]


def _gradient(loss: Parts, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients of the sum of the parts; zeros for inputs that do not affect it."""
    total: list[Tensor] = []
    for part in [loss] if isinstance(loss, Tensor) else loss:
        gradient = torch.autograd.grad(part, inputs, allow_unused=True, materialize_grads=True)
        total = [a + b for a, b in zip(total, gradient, strict=True)] if total else list(gradient)
    return total


def _shift(weights: Sequence[Tensor], origin: Sequence[Tensor], vector: Sequence[Tensor], step: Tensor) -> None:
    with torch.no_grad():
        for weight, before, direction in zip(weights, origin, vector, strict=True):
            torch.add(before, step * direction, out=weight)
