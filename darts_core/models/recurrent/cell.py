"""Defines the recurrent cells of DARTS (arXiv:1806.09055), section 3.1.2, with the gates of recurrent highway networks.

Every state is s + sigmoid(c) * (f(h) - s), where s is the state that it reads and [c, h] = s W. State keys are the
DARTS authors' (`_W0`, `_Ws.0`). `genotype_sequence` and `search_sequence` compute a window of text; `plain` computes
the same cells step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from darts_core.genotypes import RecurrentGenotype
from darts_core.models.recurrent.genotype_sequence import run_genotype
from darts_core.models.recurrent.search_sequence import run_search

# Weights are initialised uniformly in [-range, range].
INITIAL_RANGE: Final = 0.04


class RecurrentCell(nn.Module):
    """Base class of recurrent cells: holds the weights."""

    def __init__(self, size: int, nodes: int) -> None:
        super().__init__()
        self.size = size
        self.nodes = nodes
        self._W0 = nn.Parameter(torch.empty(2 * size, 2 * size).uniform_(-INITIAL_RANGE, INITIAL_RANGE))
        self._Ws = nn.ParameterList(
            nn.Parameter(torch.empty(size, 2 * size).uniform_(-INITIAL_RANGE, INITIAL_RANGE)) for _ in range(nodes)
        )


class GenotypeCell(RecurrentCell):
    """The cell of a genotype: each node reads one earlier state; the output is the mean of the nodes in `concat`."""

    def __init__(self, genotype: RecurrentGenotype, size: int) -> None:
        super().__init__(size, len(genotype.recurrent))
        self.genotype = genotype

    def forward(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> Tensor:
        """Map the masked input x (T, B, size) to the outputs (T, B, size). hidden, h_mask: (B, size)."""
        return run_genotype(self.genotype, x, hidden, h_mask, self._W0, tuple(self._Ws))


class SearchCell(RecurrentCell):
    """The cell of the supernet: mixes all edges and activations by the softmax of the alphas.

    A node is the weighted sum over all earlier states and activations, followed by BatchNorm, which bounds the states.
    The initial state and all nodes share one BatchNorm without an affine part. `none` contributes zero.
    """

    def __init__(self, primitives: Sequence[str], size: int, nodes: int) -> None:
        super().__init__(size, nodes)
        self.primitives = tuple(primitives)
        self.bn = nn.BatchNorm1d(size, affine=False)

    def forward(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None, shares: Tensor) -> Tensor:
        """Like `GenotypeCell.forward`. shares: (edges, primitives), each row with sum 1."""
        return run_search(self.primitives, self.bn, x, hidden, h_mask, shares, self._W0, tuple(self._Ws))
