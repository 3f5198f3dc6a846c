"""Carries the channels that bypass the operations of a cell with partial channels: `darts_core.models.partial`.

Nodes are kept as two parts, computed and bypassed channels, since the shuffle that interleaves them is the same for all
edges into a node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.partial import shuffled, unshuffled

if TYPE_CHECKING:
    from darts_core.models.fused.cell import Plan


class Bypass:
    """The bypassing channels in one pass, forward and backward."""

    def __init__(self, plan: Plan, older: Tensor, newer: Tensor, edge_weights: Tensor | None, nodes: Tensor) -> None:
        """nodes: (N, nodes, C / K, H, W), to which the operations' maps are added while the pass goes on."""
        self._partial, self._count = plan.partial, plan.nodes
        modules = [setting.modules for setting in plan.settings]
        sources = range(plan.nodes + 1)
        # The edges of a source may be computed in several parts.
        self._edges = [
            [of_node[part.places.index(place)] for part in modules if place in part.places for of_node in part.edges]
            for place in sources
        ]
        self._first = [max(0, place - 1) for place in sources]
        self._strides = [modules[0].stride if place < 2 else 1 for place in sources]
        self._inputs = (older.detach(), newer.detach())
        self._nodes, self._type = nodes, older.dtype
        count = sum(map(len, self._edges))
        self._weighted = edge_weights is not None
        self._weights = nodes.new_ones(count) if edge_weights is None else edge_weights.detach().to(nodes)
        shape = (*nodes.shape[:2], nodes.shape[2] * (plan.partial - 1), *nodes.shape[3:])
        self._rest = nodes.new_zeros(shape)
        self._kept: list[tuple[Tensor, Tensor | None]] = []
        self._through = torch.zeros(count, dtype=torch.float64, device=nodes.device)
        self._shapes: list[torch.Size] = []
        self._g = self._g_rest = torch.empty(0)

    def state(self, place: int) -> Tensor:
        """The channels of a source that the operations see; adds the others to the nodes that read the source."""
        whole = self._inputs[place] if place < 2 else self._node(place - 2)
        seen, rest = self._parts(whole)
        self._shapes.append(rest.shape)
        where = None
        if self._strides[place] == 2:
            rest, where = F.max_pool2d(rest, 2, 2, ceil_mode=True, return_indices=True)
        self._kept.append((rest, where))
        weights = self._weights[self._edges[place]]
        # One product for each edge: a batched one would hold all of them.
        for node, weight in enumerate(weights, self._first[place]):
            self._rest[:, node].addcmul_(rest.to(self._rest.dtype), weight)
        return seen

    def output(self) -> Tensor:
        """The cell's output (N, nodes * C, H, W)."""
        return torch.cat([self._node(node) for node in range(self._count)], dim=1)

    def begin_backward(self, gradient: Tensor, layout: torch.memory_format) -> Tensor:
        """Take the output's gradient; returns that of the nodes' computed channels (N, nodes, C / K, H, W).

        Later gradients of the nodes are added to it.
        """
        parts = [self._parts(unshuffled(g, self._partial)) for g in gradient.chunk(self._count, dim=1)]
        seen = torch.cat([part for part, _ in parts], dim=1).to(self._nodes.dtype).clone(memory_format=layout)
        self._g = seen.view(self._nodes.shape)
        self._g_rest = torch.stack([rest for _, rest in parts], dim=1).to(self._nodes.dtype)
        return self._g

    def backward(self, place: int, towards_seen: Tensor) -> Tensor:
        """Return the gradient of a source (N, C, H, W), given that of its computed channels.

        Adds it to that of the node that the source is.
        """
        rest, where = self._kept.pop()
        shape = self._shapes.pop()
        first, edges = self._first[place], self._edges[place]
        towards_rest = torch.zeros_like(rest, dtype=self._g_rest.dtype)
        for node, edge in enumerate(edges, first):
            g = self._g_rest[:, node]
            towards_rest.addcmul_(g, self._weights[edge])
            if self._weighted:
                self._through[edge] = (g * rest).sum(dtype=torch.float64)
        if where is not None:
            # Windows do not overlap: each maximum has one place.
            pooled, towards_rest = towards_rest, towards_rest.new_zeros(shape)
            towards_rest.flatten(2).scatter_(2, where.flatten(2), pooled.flatten(2))
        whole = torch.cat([towards_seen.to(towards_rest.dtype), towards_rest], dim=1)
        if place >= 2:
            seen, others = self._parts(unshuffled(whole, self._partial))
            self._g[:, place - 2] += seen
            self._g_rest[:, place - 2] += others
        return whole.to(self._type)

    def towards_edges(self) -> Tensor | None:
        """The gradient of the edge weights (edges,); None without them."""
        return self._through.to(self._weights.dtype) if self._weighted else None

    def _node(self, node: int) -> Tensor:
        whole = torch.cat([self._nodes[:, node], self._rest[:, node]], dim=1)
        return shuffled(whole, self._partial).to(self._type)

    def _parts(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        seen = whole.shape[1] // self._partial
        return whole[:, :seen], whole[:, seen:]
