"""A gated state s + sigmoid(c) * (f(h) - s) and its derivative, in place where autograd would keep one copy a function.

Every activation's derivative is one of its value, so [c, h] is overwritten by [sigmoid(c), f(h)] on the way forth, and
by its own gradient on the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

_aten: Any = torch.ops.aten


class Activation(NamedTuple):
    """apply: in place, gives its argument. value: may give its argument. backward: of gradient and value."""

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
    """The new state. state: (size, B). product: (2, size, B), [c, h], which becomes [sigmoid(c), f(h)]."""
    gate, candidate = product.unbind()
    return torch.lerp(state, activation.apply(candidate), gate.sigmoid_(), out=out)


def gated_backward(gradient: Tensor, state: Tensor, product: Tensor, activation: Activation) -> Tensor:
    """The gradient of `state` past the product; `product`, as `gated` left it, becomes its own gradient."""
    gate, value = product.unbind()
    through = gradient * gate
    difference = (value - state).mul_(gradient)
    value.copy_(activation.backward(through, value))
    gate.copy_(_aten.sigmoid_backward(difference, gate))
    return gradient - through


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with its mask, if there is one."""
    return x if mask is None else x * mask
