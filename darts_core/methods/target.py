"""Weighs accuracy against cost: terms of the alphas' loss by the expected cost of the discrete cell.

As in ProxylessNAS (arXiv:1812.00332), the expected cost is linear in the operation weights and thus differentiable. Its
logarithm is added to the loss, so that a weight means the same at every scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from darts_core.configs.target import CostName, TargetTerm
from darts_core.profile.operation_costs import OperationCosts
from darts_core.spaces.nasbench201 import CELL

_KEPT = 2  # edges of a node
_TINY = torch.finfo(torch.float64).tiny


class Target:
    """The terms of one search's `target`.

    The expected cost of a node is twice the mean cost of the operations into it, each weighed by its operation weight;
    `none`, which no discrete cell has, is left out. In NAS-Bench-201's space, whose cells keep all edges and may have
    `none`, it is the sum of the edges' mean costs. With the weights of a discrete cell it is that cell's exact cost.
    """

    def __init__(
        self,
        terms: Mapping[CostName, TargetTerm],
        costs: Mapping[CostName, OperationCosts],
        primitives: tuple[str, ...],
    ) -> None:
        self._terms, self.costs = terms, costs
        self._kept = torch.tensor([float(name != "none") for name in primitives], dtype=torch.float64)
        self._tables = {
            name: {kind: torch.tensor(rows, dtype=torch.float64) for kind, rows in cost.edges.items()}
            for name, cost in costs.items()
        }

    def penalty(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The sum of all terms, a scalar. weights: expected operation weights (edges, primitives) by kind of cell."""
        total = torch.stack([self._term(name, term, weights) for name, term in self._terms.items()]).sum()
        return total.to(next(iter(weights.values())).dtype)

    def expected(self, name: CostName, weights: Mapping[str, Tensor]) -> Tensor:
        """The expected cost of the discrete network, a float64 scalar."""
        cost = self.costs[name]
        found = [
            (_edges if kind == CELL else self._cells)(self._on(kind, name, rows), rows)
            for kind, rows in weights.items()
        ]
        return torch.stack(found).sum() + cost.fixed

    def _term(self, name: CostName, term: TargetTerm, weights: Mapping[str, Tensor]) -> Tensor:
        cost = self.expected(name, weights)
        if term.at_most is None:
            return term.weight * cost.log()
        return term.weight * (cost / term.at_most).log().clamp_min(0)

    def _on(self, kind: str, name: CostName, like: Tensor) -> Tensor:
        # Moved once: a transfer in every step would make the host wait for the GPU.
        table = self._tables[name][kind]
        if table.device != like.device:
            table = self._tables[name][kind] = table.to(like.device)
            self._kept = self._kept.to(like.device)
        return table

    def _cells(self, table: Tensor, rows: Tensor) -> Tensor:
        weights = rows.double() * self._kept
        costs, totals = (weights * table).sum(-1), weights.sum(-1)
        found, first, sources = [], 0, _KEPT
        while first < len(rows):
            node = slice(first, first + sources)
            found.append(_KEPT * costs[node].sum() / totals[node].sum().clamp_min(_TINY))
            first, sources = first + sources, sources + 1
        return torch.stack(found).sum()


def _edges(table: Tensor, rows: Tensor) -> Tensor:
    weights = rows.double()
    return ((weights * table).sum(-1) / weights.sum(-1).clamp_min(_TINY)).sum()
