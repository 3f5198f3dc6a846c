"""Builds the supernet of NAS-Bench-201's space (arXiv:2001.00326): all five operations on each of a cell's six edges.

Each operation is a module of its own. There is no fused arrangement; docs/methods.md has the measured reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import repeat

import torch
from torch import Tensor, nn

from darts_core.genotypes.nasbench201 import EDGE_COUNT
from darts_core.methods.method import SearchMethod
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.nasbench201_skeleton import NasBench201Skeleton, nasbench201_operation
from darts_core.models.operations import Absent
from darts_core.models.partial import shuffled
from darts_core.models.supernet import MixedEdge, sum_of
from darts_core.spaces.nasbench201 import CELL, NODES


class NasBench201Edge(MixedEdge):
    """All candidate operations of one edge."""

    def __init__(self, primitives: Sequence[str], channels: int, names: Collection[str]) -> None:
        """names: the primitives that this edge has."""
        super().__init__((), channels, stride=1)
        self._ops = nn.ModuleList(
            nasbench201_operation(name, channels, search=True) if name in names else Absent() for name in primitives
        )


class NasBench201SearchCell(nn.Module):
    """One cell of the supernet: a node reads the input and all earlier nodes; the output is the last node."""

    def __init__(
        self,
        primitives: Sequence[str],
        channels: int,
        *,
        partial: int = 1,
        lists: Sequence[Collection[str]] | None = None,
    ) -> None:
        """partial: K, if the operations see one of K channels only (`darts_core.models.partial`). lists: the primitives
        of each edge, if edges lack some.
        """
        super().__init__()
        self.partial = partial
        self._ops = nn.ModuleList(
            NasBench201Edge(primitives, channels // partial, names) for names in lists or [primitives] * EDGE_COUNT
        )

    def forward(
        self,
        x: Tensor,
        weights: Tensor,
        edge_weights: Tensor | None = None,
        chosen: Sequence[int | None] | None = None,
        path_factors: Tensor | None = None,
    ) -> Tensor:
        """Map (N, C, H, W) to the same shape. weights: (edges, primitives).

        edge_weights: (edges,), of the channels that bypass the operations; `weights` hold them as a factor.
        chosen: the only operation of each edge whose weight is not 0, if no edge has several; no other is computed.
        path_factors: (N, edges), of each sample's edges.
        """
        states, first = [x], 0
        for node in range(1, NODES + 1):
            outputs = [
                self._edge(first + source, states[source], weights, edge_weights, chosen) for source in range(node)
            ]
            if path_factors is not None:
                columns = path_factors[:, first : first + node, None, None, None].unbind(1)
                outputs = [out * factor.to(out.dtype) for out, factor in zip(outputs, columns, strict=True)]
            total = sum_of(outputs)
            states.append(total if self.partial == 1 else shuffled(total, self.partial))
            first += node
        return states[-1]

    def _edge(
        self, edge: int, x: Tensor, weights: Tensor, edge_weights: Tensor | None, chosen: Sequence[int | None] | None
    ) -> Tensor:
        mixed: NasBench201Edge = self._ops[edge]  # type: ignore[assignment]
        width = x.shape[1] // self.partial
        seen = x if self.partial == 1 else x[:, :width]
        operation = None if chosen is None else chosen[edge]
        out = mixed(seen, weights[edge]) if operation is None else mixed.sampled(seen, weights[edge], operation)
        if self.partial == 1:
            return out
        rest = x[:, width:]
        return torch.cat([out, rest if edge_weights is None else edge_weights[edge] * rest], dim=1)


class NasBench201SearchNetwork(AlphaNetwork, NasBench201Skeleton):
    """The supernet of a search in NAS-Bench-201's space.

    `alphas` maps "cell" to (6, primitives), and for some methods "cell_edges" to (6, 1).
    """

    def __init__(
        self,
        primitives: Sequence[str],
        *,
        channels: int,
        layers: int,
        classes: int,
        method: SearchMethod,
        image_channels: int = 3,
    ) -> None:
        """method: makes operation weights of the alphas. channels: of the first stage. layers: a multiple of 3."""
        super().__init__()
        self.primitives = tuple(primitives)
        self.method = method
        self.build(
            lambda width: NasBench201SearchCell(
                primitives, width, partial=method.partial, lists=method.lists.get(CELL)
            ),
            channels=channels,
            layers=layers,
            classes=classes,
            image_channels=image_channels,
        )
        # torch does not register parameters in a plain dictionary.
        self.alphas = {
            name: nn.Parameter(table)
            for name, table in method.tables((CELL,), NODES, EDGE_COUNT, len(self.primitives)).items()
        }
        method.rest(self.alphas)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to logits (N, classes)."""
        weights = self.method.operation_weights(self.alphas)
        edge_weights = self.method.edge_weights(self.alphas).get(CELL)
        chosen, rows = self.method.chosen(weights).get(CELL), weights[CELL]
        cells = sum(isinstance(part, NasBench201SearchCell) for part in self.cells)
        factors = self.method.path_factors(cells, EDGE_COUNT, x) if self.training else None
        of_cells = iter(repeat(None) if factors is None else factors)
        return self.logits(x, lambda cell, state: cell(state, rows, edge_weights, chosen, next(of_cells)))
