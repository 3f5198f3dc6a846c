"""Recurrent cells. DARTS (arXiv:1806.09055), section 3.1.2, after the recurrent highway's gates.

Every state is s + sigmoid(c) * (f(h) - s), where s is the state that it reads and [c, h] = s W: a gate between keeping
s and a candidate. State keys are the DARTS authors' (`_W0`, `_Ws.0`). How a window of text is computed lies in
`genotype_sequence` and `search_sequence`; `plain` has the same cells step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from darts_core.genotypes import RecurrentGenotype
from darts_core.models.recurrent.genotype_sequence import run_genotype
from darts_core.models.recurrent.search_sequence import run_search

# All weights start uniformly distributed within this of 0.
INITIAL_RANGE: Final = 0.04


class RecurrentCell(nn.Module):
    """What all recurrent cells share: their weights."""

    def __init__(self, size: int, nodes: int) -> None:
        super().__init__()
        self.size = size
        self.nodes = nodes
        self._W0 = nn.Parameter(torch.empty(2 * size, 2 * size).uniform_(-INITIAL_RANGE, INITIAL_RANGE))
        self._Ws = nn.ParameterList(
            nn.Parameter(torch.empty(size, 2 * size).uniform_(-INITIAL_RANGE, INITIAL_RANGE)) for _ in range(nodes)
        )


class GenotypeCell(RecurrentCell):
    """The cell of one genotype: each node reads one earlier state; the output is the mean of the nodes of `concat`."""

    def __init__(self, genotype: RecurrentGenotype, size: int) -> None:
        super().__init__(size, len(genotype.recurrent))
        self.genotype = genotype

    def forward(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> Tensor:
        """x: (T, B, size), masked. hidden, h_mask: (B, size). Gives the outputs (T, B, size): the states to carry."""
        return run_genotype(self.genotype, x, hidden, h_mask, self._W0, tuple(self._Ws))


class SearchCell(RecurrentCell):
    """The cell that holds every edge and activation, mixed by the softmax of the alphas.

    A node is the weighted sum over all earlier states and all activations, then BatchNorm, which keeps the states from
    exploding: a single one without scale and shift, for the initial state and all nodes. `none` adds nothing.
    """

    def __init__(self, primitives: Sequence[str], size: int, nodes: int) -> None:
        super().__init__(size, nodes)
        self.primitives = tuple(primitives)
        self.bn = nn.BatchNorm1d(size, affine=False)

    def forward(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None, shares: Tensor) -> Tensor:
        """As of a genotype's cell. shares: (edges, primitives), each row sums to 1."""
        return run_search(self.primitives, self.bn, x, hidden, h_mask, shares, self._W0, tuple(self._Ws))
