"""The gradient of the validation loss in the alphas, to first and second order.

DARTS (arXiv:1806.09055), section 2.3. Nothing here knows a network: losses are closures, weights and alphas are lists
of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Parts = Tensor | Iterable[Tensor]
"""A scalar with a graph, or several that add up to it: of these one graph at a time is held in memory."""

Loss = Callable[[], Parts]
"""The loss of a fixed batch at the weights and alphas as they are now."""

LossAt = Callable[[Sequence[Tensor]], Parts]
"""The same at weights that are handed in, in the order of the network's own; leaves the network untouched."""

Mean = Callable[[Sequence[Tensor]], list[Tensor]]
"""The means of gradients over all ranks that share a batch; the gradients themselves where there is one rank."""

# Numerator of the finite difference's step: small against ||v||, large against float32 rounding.
STEP_NUMERATOR = 1e-2


def first_order(validation_loss: Loss, alphas: Sequence[Tensor], *, mean: Mean = list) -> list[Tensor]:
    """The alpha gradient at the current weights: equation 7 with an inner learning rate of 0.

    One tensor an alpha table, same shapes; zeros for a table that the loss does not depend on.
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
    """The weights after one step of SGD that is not taken: w' = w - eta * (momentum * buf + grad + decay * w).

    A missing buffer (before the first step) counts as zeros. The gradient is not clipped: the authors don't, either.
    Gives new leaf tensors that require gradients.
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
    """Finite-difference product of the mixed second derivative of the training loss with `vector`: equation 8.

    vector: one tensor a weight, the validation gradient at the virtual weights, the same on all ranks. The step is
    numerator / ||vector||.
    Moves the weights in place for the two passes and puts the very same bits back, whatever happens in between. Both
    passes run on the real network, so in training mode its running statistics see the batch twice, as in the authors'
    code. Gives one tensor an alpha table; zeros when the vector is zero.
    """
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in vector]))
    # On the device, without asking for the number: a zero vector gives a zero product, not 0 / 0.
    step = numerator / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    kept = [weight.detach().clone() for weight in weights]
    try:
        _shift(weights, kept, vector, step)
        ahead = first_order(train_loss, alphas, mean=mean)
        _shift(weights, kept, vector, -step)
        behind = first_order(train_loss, alphas, mean=mean)
    finally:
        # Adding the step back, as the authors do, would leave rounding errors in the weights.
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
    """The alpha gradient of the validation loss at the virtual weights: equation 7.

    The part through the alphas themselves, minus eta times the implicit part through the virtual weights.
    """
    virtual = virtual_weights(
        train_loss, weights, momentum_buffers, eta=eta, momentum=momentum, weight_decay=weight_decay, mean=mean
    )
    both = mean(_gradient(validation_loss_at(virtual), [*alphas, *virtual]))
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    implicit = implicit_gradient(train_loss, weights, alphas, vector, numerator=numerator, mean=mean)
    return [d - eta * i for d, i in zip(direct, implicit, strict=True)]


def _gradient(loss: Parts, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Of the sum of the loss's parts; zeros for an input that it does not depend on."""
    total: list[Tensor] = []
    for part in [loss] if isinstance(loss, Tensor) else loss:
        gradient = torch.autograd.grad(part, inputs, allow_unused=True, materialize_grads=True)
        total = [a + b for a, b in zip(total, gradient, strict=True)] if total else list(gradient)
    return total


def _shift(weights: Sequence[Tensor], origin: Sequence[Tensor], vector: Sequence[Tensor], step: Tensor) -> None:
    with torch.no_grad():
        for weight, before, direction in zip(weights, origin, vector, strict=True):
            torch.add(before, step * direction, out=weight)
