"""FairDARTS (arXiv:1911.12126): operations that do not compete, each weighed by the sigmoid of its alpha."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from darts_core.genotypes import AnyGenotype, strongest_above
from darts_core.genotypes.nasbench201 import strongest_operations
from darts_core.methods.method import SearchMethod, Tables
from darts_core.spaces.nasbench201 import CELL


class FairDarts(SearchMethod):
    """Weights p = sigmoid(alpha), with a loss that drives them to 0 or 1; alphas start at 0.

    The loss is `zero_one_weight` times the mean, over the operations of all edges and kinds, of -(p - 0.5)^2 (`l2`) or
    -|p - 0.5| (`l1`). The discrete cell keeps, of a node's two strongest edges, those of at least `edge_threshold`.
    """

    alpha_betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def initial(self, edges: int, primitives: int) -> Tensor:
        """Zeros."""
        return torch.zeros(edges, primitives)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The sigmoids."""
        return {kind: torch.sigmoid(alpha) for kind, alpha in self.present(alphas).items()}

    def expected_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The same, as nothing is drawn."""
        return self.operation_weights(alphas)

    def alpha_penalty(self, alphas: Tables) -> Tensor | None:
        """The zero-one loss."""
        weight = self.config.zero_one_weight
        if not weight:
            return None
        total, count = next(iter(alphas.values())).new_zeros(()), 0
        for kind, rows in self.operation_weights(alphas).items():
            distance, absent = rows - 0.5, self.absent(kind, rows)
            term = distance.abs() if self.config.zero_one_loss == "l1" else distance.square()
            total = total + (term if absent is None else term.masked_fill(absent, 0.0)).sum()
            count += rows.numel() if absent is None else sum(map(len, self.lists[kind]))
        return -weight * total / count

    def strengths(self, alphas: Tables) -> dict[str, list[list[float]]]:
        """The sigmoids, in float64. The sum of a row may be any number."""
        exact = {kind: alpha.detach().double().cpu() for kind, alpha in alphas.items()}
        return {kind: rows.tolist() for kind, rows in self.operation_weights(exact).items()}

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """The edges above the threshold, and the strongest one of an input of the cell.

        In NAS-Bench-201's space, whose cells have all edges, the strongest operation of each.
        """
        found = self.strengths(alphas)
        if CELL in found:
            return strongest_operations(found[CELL], primitives)
        assert self.config.edge_threshold is not None
        return strongest_above(found["normal"], found["reduce"], primitives, self.config.edge_threshold, self.lists)
