"""Runs mixture and normalisation in CPU kernels, each in one pass over memory instead of torch's twenty or so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor

from darts_core.kernels.loader import available, operators

# The kernels' columns of shares; a further one has their sum.
_COLUMNS: Final = ("tanh", "relu", "sigmoid", "identity")


def has_kernels(x: Tensor) -> bool:
    """Whether kernels support the tensor's device and type."""
    return x.device.type == "cpu" and available(x.dtype)


class KernelMixture:
    """Like `mixture.Mixture`, but `forward` leaves the products unchanged."""

    def __init__(self, primitives: Sequence[str], shares: Tensor) -> None:
        """shares: (n, primitives)."""
        self._columns = [(k, _COLUMNS.index(op)) for k, op in enumerate(primitives) if op != "none"]
        self._table = shares.new_zeros(len(shares), len(_COLUMNS) + 1)
        for k, column in self._columns:
            self._table[:, column] = shares[:, k]
        self._table[:, -1] = self._table[:, :-1].sum(dim=1)

    def forward(self, state: Tensor, product: Tensor, sums: Tensor) -> None:
        """Like `Mixture.forward`."""
        operators(state.dtype).mixture(state, product, self._table, sums)

    def backward(self, gradient: Tensor, state: Tensor, product: Tensor, of_shares: Tensor | None) -> Tensor:
        """Like `Mixture.backward`."""
        past: Tensor
        past, found = operators(state.dtype).mixture_backward(
            gradient, state, product, self._table, of_shares is not None
        )
        if of_shares is not None:
            for k, column in self._columns:
                of_shares[:, k] += found[:, column] + found[:, -1]
        return past
