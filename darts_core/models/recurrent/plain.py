"""Computes recurrent cells step by step, as the reference for the fast ones.

DARTS (arXiv:1806.09055), section 3.1.2. Weights, state keys and arguments are those of the cells in `cell`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.recurrent.cell import GenotypeCell, SearchCell
from darts_core.primitives import recurrent_edges_of


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "tanh": torch.tanh,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "identity": _identity,
}


class PlainGenotypeCell(GenotypeCell):
    """A genotype's cell, computed node by node."""

    def forward(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> Tensor:
        """Like the fast cell's `forward`."""
        return _loop(x, hidden, h_mask, self._W0, lambda initial: self._step(initial, h_mask))

    def _step(self, initial: Tensor, h_mask: Tensor | None) -> Tensor:
        states = [initial]
        for (op, source), weight in zip(self.genotype.recurrent, self._Ws, strict=True):
            read = states[source]
            states.append(_gated(read, _masked(read, h_mask) @ weight, ACTIVATIONS[op]))
        return torch.stack([states[node] for node in self.genotype.concat]).mean(dim=0)


class PlainSearchCell(SearchCell):
    """The search cell, computed node by node; one product covers all states that a node reads."""

    def forward(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None, shares: Tensor) -> Tensor:
        """Like the fast cell's `forward`."""
        of_nodes = [_shares(self.primitives, shares, node) for node in range(self.nodes)]
        return _loop(x, hidden, h_mask, self._W0, lambda initial: self._step(initial, h_mask, of_nodes))

    def _step(self, initial: Tensor, h_mask: Tensor | None, shares: Sequence[_Shares]) -> Tensor:
        states = [self.bn(initial)]
        for weight, (kept, of_operation) in zip(self._Ws, shares, strict=True):
            read = torch.stack(states)
            gate, candidate = (_masked(read, h_mask) @ weight).chunk(2, dim=-1)
            mixed = torch.zeros((), dtype=read.dtype, device=read.device)
            for op, share in of_operation.items():
                mixed = torch.addcmul(mixed, share, ACTIVATIONS[op](candidate))
            # All operations of an edge share its gate, so that it applies to their sum.
            states.append(self.bn(torch.lerp(kept * read, mixed, torch.sigmoid(gate)).sum(dim=0)))
        return torch.stack(states[1:]).mean(dim=0)


class _Shares(NamedTuple):
    """The shares of one node's edges, (edges, 1, 1): the sum over all operations but `none`, and each operation's."""

    kept: Tensor
    of_operation: dict[str, Tensor]


def _shares(primitives: Sequence[str], shares: Tensor, node: int) -> _Shares:
    first = recurrent_edges_of(node)
    rows = shares[first : first + 1 + node, :, None, None]
    # `none` has no gate and adds nothing.
    of_operation = {op: rows[:, k] for k, op in enumerate(primitives) if op != "none"}
    return _Shares(torch.stack(list(of_operation.values())).sum(dim=0), of_operation)


def _loop(x: Tensor, hidden: Tensor, h_mask: Tensor | None, w0: Tensor, step: Callable[[Tensor], Tensor]) -> Tensor:
    """Run all time steps. step: maps the initial state (B, size) to the output (B, size)."""
    from_x, from_hidden = w0.chunk(2)
    outputs = []
    for product in x @ from_x:
        product = torch.addmm(product, _masked(hidden, h_mask), from_hidden)
        hidden = step(_gated(hidden, product, torch.tanh))
        outputs.append(hidden)
    return torch.stack(outputs)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def _gated(state: Tensor, product: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Return s + sigmoid(c) * (f(h) - s). state: (B, size). product: [c, h], (B, 2 * size)."""
    gate, candidate = product.chunk(2, dim=-1)
    return torch.lerp(state, activation(candidate), torch.sigmoid(gate))
