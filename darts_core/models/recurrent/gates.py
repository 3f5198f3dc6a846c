"""Computes the gated state s + sigmoid(c) * (f(h) - s) and its gradient in place.

Every activation's derivative is a function of its value. The forward pass therefore overwrites [c, h] by
[sigmoid(c), f(h)], and the backward pass overwrites that by the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

_aten: Any = torch.ops.aten


class Activation(NamedTuple):
    """apply: in place, returns its argument. value: may return its argument. backward: takes gradient and value."""

    apply: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: Final[dict[str, Activation]] = {
    "tanh": Activation(torch.tanh_, torch.tanh, _aten.tanh_backward),
    "relu": Activation(torch.relu_, torch.relu, lambda gradient, value: _aten.threshold_backward(gradient, value, 0)),
    "sigmoid": Activation(torch.sigmoid_, torch.sigmoid, _aten.sigmoid_backward),
    "identity": Activation(lambda x: x, lambda x: x, lambda gradient, value: gradient),
}


def gated(state: Tensor, product: Tensor, activation: Activation, out: Tensor | None = None) -> Tensor:
    """Return the new state (size, B). product: [c, h], (2, size, B), overwritten by [sigmoid(c), f(h)]."""
    gate, candidate = product.unbind()
    return torch.lerp(state, activation.apply(candidate), gate.sigmoid_(), out=out)


def gated_backward(gradient: Tensor, state: Tensor, product: Tensor, activation: Activation) -> Tensor:
    """Return the direct gradient of `state`, without the part through the product.

    product: as left by `gated`; overwritten by its gradient.
    """
    gate, value = product.unbind()
    through = gradient * gate
    difference = (value - state).mul_(gradient)
    value.copy_(activation.backward(through, value))
    gate.copy_(_aten.sigmoid_backward(difference, gate))
    return gradient - through


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Multiply x by the mask, if any."""
    return x if mask is None else x * mask
