"""Recurrent cells. DARTS (arXiv:1806.09055), section 3.1.2, after the recurrent highway's gates.

Every state is s + sigmoid(c) * (f(h) - s), where s is the state that it reads and [c, h] = s W: a gate between keeping
s and a candidate. What does not depend on the recurrence is computed for all time steps at once, and a node of the
search cell takes one matrix product for all states that it reads. State keys are the DARTS authors' (`_W0`, `_Ws.0`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.genotypes import RecurrentGenotype
from darts_core.primitives import recurrent_edges_of

# All weights start uniformly distributed within this of 0.
INITIAL_RANGE: Final = 0.04


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "tanh": torch.tanh,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "identity": _identity,
}


class RecurrentCell(nn.Module):
    """What all recurrent cells share: their weights, the initial state, and the loop over time."""

    def __init__(self, size: int, nodes: int) -> None:
        super().__init__()
        self.size = size
        self.nodes = nodes
        self._W0 = nn.Parameter(torch.empty(2 * size, 2 * size).uniform_(-INITIAL_RANGE, INITIAL_RANGE))
        self._Ws = nn.ParameterList(
            nn.Parameter(torch.empty(size, 2 * size).uniform_(-INITIAL_RANGE, INITIAL_RANGE)) for _ in range(nodes)
        )

    def run(
        self,
        x: Tensor,
        hidden: Tensor,
        x_mask: Tensor | None,
        h_mask: Tensor | None,
        step: Callable[[Tensor, Tensor | None], Tensor],
    ) -> Tensor:
        """Run over time. x: (T, B, size). hidden: (B, size). Masks: (B, size). Gives the outputs (T, B, size).

        step: from the initial state (B, size) and h_mask to the output (B, size).
        """
        from_x, from_hidden = self._W0.chunk(2)
        outputs = []
        for product in masked(x, x_mask) @ from_x:
            product = torch.addmm(product, masked(hidden, h_mask), from_hidden)
            hidden = step(gated(hidden, product, torch.tanh), h_mask)
            outputs.append(hidden)
        return torch.stack(outputs)


class GenotypeCell(RecurrentCell):
    """The cell of one genotype: each node reads one earlier state; the output is the mean of the nodes of `concat`."""

    def __init__(self, genotype: RecurrentGenotype, size: int) -> None:
        super().__init__(size, len(genotype.recurrent))
        self.genotype = genotype

    def forward(self, x: Tensor, hidden: Tensor, x_mask: Tensor | None, h_mask: Tensor | None) -> Tensor:
        """x: (T, B, size). hidden: (B, size). Gives the outputs (T, B, size); the last one is the new hidden state."""
        return self.run(x, hidden, x_mask, h_mask, self._step)

    def _step(self, initial: Tensor, h_mask: Tensor | None) -> Tensor:
        states = [initial]
        for (op, source), weight in zip(self.genotype.recurrent, self._Ws, strict=True):
            read = states[source]
            states.append(gated(read, masked(read, h_mask) @ weight, ACTIVATIONS[op]))
        return torch.stack([states[node] for node in self.genotype.concat]).mean(dim=0)


class SearchCell(RecurrentCell):
    """The cell that holds every edge and activation, mixed by the softmax of the alphas.

    A node is the weighted sum over all earlier states and all activations, then BatchNorm, which keeps the states from
    exploding: a single one without scale and shift, for the initial state and all nodes. `none` adds nothing.
    """

    def __init__(self, primitives: Sequence[str], size: int, nodes: int) -> None:
        super().__init__(size, nodes)
        self.primitives = tuple(primitives)
        self.bn = nn.BatchNorm1d(size, affine=False)

    def forward(
        self, x: Tensor, hidden: Tensor, x_mask: Tensor | None, h_mask: Tensor | None, weights: Tensor
    ) -> Tensor:
        """x: (T, B, size). hidden: (B, size). weights: (edges, primitives), each row sums to 1. Gives (T, B, size)."""
        shares = [_shares(self.primitives, weights, node) for node in range(self.nodes)]
        return self.run(x, hidden, x_mask, h_mask, lambda initial, mask: self._step(initial, mask, shares))

    def _step(self, initial: Tensor, h_mask: Tensor | None, shares: Sequence[_Shares]) -> Tensor:
        states = [self.bn(initial)]
        for weight, (kept, of_operation) in zip(self._Ws, shares, strict=True):
            read = torch.stack(states)
            gate, candidate = (masked(read, h_mask) @ weight).chunk(2, dim=-1)
            mixed = torch.zeros((), dtype=read.dtype, device=read.device)
            for op, share in of_operation.items():
                mixed = torch.addcmul(mixed, share, ACTIVATIONS[op](candidate))
            # The gate is one for all operations of an edge: the sum over them can be taken behind it.
            states.append(self.bn(torch.lerp(kept * read, mixed, torch.sigmoid(gate)).sum(dim=0)))
        return torch.stack(states[1:]).mean(dim=0)


class _Shares(NamedTuple):
    """What the edges into one node weigh, (edges, 1, 1): all operations but `none` together, and each by its name."""

    kept: Tensor
    of_operation: dict[str, Tensor]


def _shares(primitives: Sequence[str], weights: Tensor, node: int) -> _Shares:
    first = recurrent_edges_of(node)
    rows = weights[first : first + 1 + node, :, None, None]
    # `none` is a candidate of its own, put through no gate: it adds nothing at all.
    of_operation = {op: rows[:, k] for k, op in enumerate(primitives) if op != "none"}
    return _Shares(torch.stack(list(of_operation.values())).sum(dim=0), of_operation)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with its mask, if there is one."""
    return x if mask is None else x * mask


def gated(state: Tensor, product: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """s + sigmoid(c) * (f(h) - s). state: (B, size). product: (B, 2 * size), [c, h] side by side."""
    gate, candidate = product.chunk(2, dim=-1)
    return torch.lerp(state, activation(candidate), torch.sigmoid(gate))
