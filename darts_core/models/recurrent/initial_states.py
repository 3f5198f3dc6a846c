"""The state that each time step begins with, from its input and the hidden state before it."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.models.recurrent.gates import ACTIVATIONS, gated, gated_backward, masked

_TANH = ACTIVATIONS["tanh"]


class InitialStates:
    """[c, h] = [x, h_mask * hidden] W0 and its gated state; the input's half is one product for all time steps."""

    def __init__(self, products: Tensor, w0: Tensor, h_mask: Tensor | None) -> None:
        """products: (T, B, 2, size); each step's way forth leaves there what its way back needs."""
        self.products, self._h_mask = products, h_mask
        self._from_input, self._from_hidden = w0.chunk(2)

    @classmethod
    def of(cls, x: Tensor, w0: Tensor, h_mask: Tensor | None) -> InitialStates:
        """x: (T, B, size)."""
        steps, batch, size = x.shape
        return cls((x @ w0[:size]).view(steps, batch, 2, size), w0, h_mask)

    def forward(self, t: int, hidden: Tensor, out: Tensor | None = None) -> Tensor:
        """The state (B, size) of step t."""
        product = self.products[t]
        product.flatten(1).addmm_(masked(hidden, self._h_mask), self._from_hidden)
        return gated(hidden, product, _TANH, out)

    def backward(self, t: int, gradient: Tensor, hidden: Tensor) -> Tensor:
        """From the gradient of step t's state to that of the hidden state before it."""
        product = self.products[t]
        past = gated_backward(gradient, hidden, product, _TANH)
        return past + masked(product.flatten(1) @ self._from_hidden.T, self._h_mask)

    def input_gradient(self) -> Tensor:
        """Of x, after all steps back."""
        return self.products.flatten(2) @ self._from_input.T

    def weight_gradient(self, x: Tensor, hidden: Tensor, outputs: Tensor) -> Tensor:
        """Of W0, after all steps back. hidden: before the first step. outputs: (T, B, size)."""
        size = x.shape[-1]
        before = masked(torch.cat([hidden[None], outputs[:-1]]), self._h_mask)
        gradient = x.new_empty(2 * size, 2 * size)
        products = self.products.view(-1, 2 * size)
        torch.mm(x.flatten(0, 1).T, products, out=gradient[:size])
        torch.mm(before.flatten(0, 1).T, products, out=gradient[size:])
        return gradient
