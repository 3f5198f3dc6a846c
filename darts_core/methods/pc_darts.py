"""PC-DARTS (arXiv:1907.05737): partial channels and edge normalisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.genotypes import AnyGenotype
from darts_core.genotypes.derive import EDGES, strongest
from darts_core.genotypes.nasbench201 import strongest_operations
from darts_core.methods.method import SearchMethod, Tables
from darts_core.spaces.nasbench201 import CELL


class PcDarts(SearchMethod):
    """DARTS on one of K channels, with a weight for each edge: the softmax of its `<kind>_edges` alpha within its node.

    Edge alphas are drawn after all tables of operation alphas, so that those are DARTS' for the same seed.
    """

    @property
    def partial(self) -> int:
        """K."""
        return self.config.partial_channels or 1

    def tables(self, kinds: Sequence[str], nodes: int, edges: int, primitives: int) -> dict[str, Tensor]:
        """A table (edges, primitives) and one (edges, 1) for each kind."""
        return super().tables(kinds, nodes, edges, primitives) | {
            f"{kind}{EDGES}": self.initial(edges, 1) for kind in kinds
        }

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The softmax of each row, times the edge's weight."""
        edges = self.edge_weights(alphas)
        present = self.present(alphas)
        return {kind: F.softmax(present[kind], dim=-1) * weight[:, None] for kind, weight in edges.items()}

    def expected_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The same, as nothing is drawn."""
        return self.operation_weights(alphas)

    def edge_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The softmax of the edge alphas within each node."""
        return {
            name.removesuffix(EDGES): torch.cat(
                [F.softmax(part, dim=0) for part in _nodes(alpha[:, 0], 1 if name == f"{CELL}{EDGES}" else 2)]
            )
            for name, alpha in alphas.items()
            if name.endswith(EDGES)
        }

    def strengths(self, alphas: Tables) -> dict[str, list[list[float]]]:
        """The operation weights, in float64."""
        exact = {name: alpha.detach().double().cpu() for name, alpha in alphas.items()}
        return {kind: rows.tolist() for kind, rows in self.operation_weights(exact).items()}

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """By DARTS' rule on the operation weights; in NAS-Bench-201's space the strongest of each edge."""
        found = self.strengths(alphas)
        if CELL in found:
            return strongest_operations(found[CELL], primitives)
        return strongest(found["normal"], found["reduce"], primitives, self.lists)


def _nodes(edges: Tensor, inputs: int) -> Iterator[Tensor]:
    """The edges of each node: as many as the cell has inputs, then one more each."""
    first, count = 0, inputs
    while first < len(edges):
        yield edges[first : first + count]
        first, count = first + count, count + 1
