"""The state that each time step begins with, from its input and the hidden state before it; all in columns."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.models.recurrent.columns import add_products, flipped
from darts_core.models.recurrent.gates import ACTIVATIONS, gated, gated_backward, masked

_TANH = ACTIVATIONS["tanh"]


class InitialStates:
    """[c, h] = [x, h_mask * hidden] W0 and its gated state; the input's half is one product for all time steps."""

    def __init__(self, products: Tensor, w0: Tensor, h_mask: Tensor | None) -> None:
        """products: (T, 2, size, B); each step's way forth leaves there what its way back needs. h_mask: (size, B)."""
        self.products, self._h_mask = products, h_mask
        self._from_input, self._from_hidden = w0.chunk(2)
        self._to_products = self._from_hidden.T

    @classmethod
    def of(cls, x: Tensor, w0: Tensor, h_mask: Tensor | None) -> InitialStates:
        """x: (T, B, size)."""
        products = flipped(x @ w0[: x.shape[-1]]).unflatten(1, (2, -1))  # type: ignore[no-untyped-call]
        initial = cls(products, w0, h_mask)
        initial._to_products = flipped(initial._from_hidden)
        return initial

    def forward(self, t: int, hidden: Tensor, out: Tensor | None = None) -> Tensor:
        """The state of step t."""
        product = self.products[t]
        product.flatten(0, 1).addmm_(self._to_products, masked(hidden, self._h_mask))
        return gated(hidden, product, _TANH, out)

    def backward(self, t: int, gradient: Tensor, hidden: Tensor) -> Tensor:
        """From the gradient of step t's state to that of the hidden state before it."""
        product = self.products[t]
        past = gated_backward(gradient, hidden, product, _TANH)
        return past + masked(self._from_hidden @ product.flatten(0, 1), self._h_mask)

    def input_gradient(self) -> Tensor:
        """Of x, after all steps back."""
        return self.products.flatten(1, 2).mT @ self._from_input.T

    def weight_gradient(self, x: Tensor, before: Tensor) -> Tensor:
        """Of W0, after all steps back. before: (T, size, B), the hidden state before each step."""
        size = x.shape[-1]
        gradient = x.new_zeros(2 * size, 2 * size)
        products = self.products.flatten(1, 2)
        add_products(gradient[:size], x.mT, products)
        add_products(gradient[size:], masked(before, self._h_mask), products)
        return gradient


def hidden_before(hidden: Tensor, outputs: Tensor) -> Tensor:
    """The hidden state before each step, (T, size, B). hidden: (B, size), before the first. outputs: (T, B, size)."""
    return flipped(torch.cat([hidden[None], outputs[:-1]]))
