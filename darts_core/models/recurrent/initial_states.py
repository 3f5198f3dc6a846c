"""Computes the initial state of each time step from its input and the previous hidden state, as columns."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.models.recurrent.columns import add_products, flipped
from darts_core.models.recurrent.gates import ACTIVATIONS, gated, gated_backward, masked

_TANH = ACTIVATIONS["tanh"]


class InitialStates:
    """Computes [c, h] = [x, h_mask * hidden] W0 and the gated state; one product covers the inputs of all steps."""

    def __init__(self, products: Tensor, w0: Tensor, h_mask: Tensor | None) -> None:
        """products: (T, 2, size, B), overwritten by values that the backward pass needs. h_mask: (size, B)."""
        self.products, self._h_mask = products, h_mask
        self._from_input, self._from_hidden = w0.chunk(2)
        self._to_products = self._from_hidden.T

    @classmethod
    def of(cls, x: Tensor, w0: Tensor, h_mask: Tensor | None) -> InitialStates:
        """Start from the inputs x (T, B, size)."""
        products = flipped(x @ w0[: x.shape[-1]]).unflatten(1, (2, -1))  # type: ignore[no-untyped-call]
        initial = cls(products, w0, h_mask)
        initial._to_products = flipped(initial._from_hidden)
        return initial

    def forward(self, t: int, hidden: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the state of step t, (size, B). hidden: the previous hidden state, (size, B)."""
        product = self.products[t]
        product.flatten(0, 1).addmm_(self._to_products, masked(hidden, self._h_mask))
        return gated(hidden, product, _TANH, out)

    def backward(self, t: int, gradient: Tensor, hidden: Tensor) -> Tensor:
        """Map the gradient of step t's state to that of the previous hidden state."""
        product = self.products[t]
        past = gated_backward(gradient, hidden, product, _TANH)
        return past + masked(self._from_hidden @ product.flatten(0, 1), self._h_mask)

    def input_gradient(self) -> Tensor:
        """Return the gradient of x, (T, B, size), after the backward pass of all steps."""
        return self.products.flatten(1, 2).mT @ self._from_input.T

    def weight_gradient(self, x: Tensor, before: Tensor) -> Tensor:
        """Return the gradient of W0 after the backward pass of all steps. before: as from `hidden_before`."""
        size = x.shape[-1]
        gradient = x.new_zeros(2 * size, 2 * size)
        products = self.products.flatten(1, 2)
        add_products(gradient[:size], x.mT, products)
        add_products(gradient[size:], masked(before, self._h_mask), products)
        return gradient


def hidden_before(hidden: Tensor, outputs: Tensor) -> Tensor:
    """Return the state before each step, (T, size, B). hidden: before the first, (B, size). outputs: (T, B, size)."""
    return flipped(torch.cat([hidden[None], outputs[:-1]]))
