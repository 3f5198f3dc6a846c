"""Builds the supernet: every edge mixes all candidate operations by the softmax of its alphas.

DARTS (arXiv:1806.09055), sections 2.1 and 2.2. The plain version calls one module per operation and is the reference
for the fused one (`darts_core.models.fused`). Both have the same modules, parameters and `state_dict`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.genotypes import Genotype, derive
from darts_core.models.fused.dispatch import FusedCell
from darts_core.models.fused.preprocess import preprocess
from darts_core.models.layout import Stem, reduction_layers
from darts_core.models.operations import operation
from darts_core.models.skeleton import StemNetwork, newer_input, older_input
from darts_core.primitives import edges_of

CELL_KINDS = ("normal", "reduce")


class MixedEdge(nn.Module):
    """All candidate operations of one edge."""

    def __init__(self, primitives: Sequence[str], channels: int, stride: int) -> None:
        super().__init__()
        self._ops = nn.ModuleList(operation(name, channels, stride, search=True) for name in primitives)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of all operations on x (N, C, H, W): equation 2. weights: (primitives,), sum 1."""
        return sum_of([weight * op(x) for weight, op in zip(weights, self._ops, strict=True)])


class SearchCell(nn.Module):
    """One cell of the supernet: a node reads both inputs and all earlier nodes; the output concatenates all nodes."""

    def __init__(
        self,
        primitives: Sequence[str],
        nodes: int,
        older: int,
        newer: int,
        channels: int,
        *,
        reduction: bool,
        after_reduction: bool,
        fused: bool,
    ) -> None:
        super().__init__()
        self.nodes = nodes
        self.fused = FusedCell(primitives) if fused else None
        self.reduction = reduction
        self.preprocess0 = older_input(older, channels, after_reduction=after_reduction, affine=False)
        self.preprocess1 = newer_input(newer, channels, affine=False)
        self._ops = nn.ModuleList(
            # Only edges from the cell's two inputs have stride 2: its nodes already have the reduced size.
            MixedEdge(primitives, channels, stride=2 if reduction and source < 2 else 1)
            for node in range(nodes)
            for source in range(2 + node)
        )

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor) -> Tensor:
        """Map the outputs of the two preceding cells to (N, nodes * channels, H', W'). weights: (edges, primitives)."""
        if self.fused is None:
            states = [self.preprocess0(older), self.preprocess1(newer)]
        else:
            states = [preprocess(self.preprocess0, older), preprocess(self.preprocess1, newer)]
        if self.fused is not None and self.fused.suits(self, states[0]):
            return self.fused(self, states[0], states[1], weights)
        first = 0
        for _ in range(self.nodes):
            edges = range(first, first + len(states))
            states.append(sum_of([self._ops[e](x, weights[e]) for e, x in zip(edges, states, strict=True)]))
            first += len(edges)
        return torch.cat(states[2:], dim=1)


class SearchNetwork(StemNetwork):
    """The supernet of a search for convolutional cells.

    `alphas` maps "normal" and "reduce" to (edges, primitives) parameters that all cells of the kind share. They are not
    registered: `parameters()`, `state_dict()` and `weights()` hold the weights alone, so that no optimiser of the
    weights can receive the alphas. `to()` moves both.
    """

    def __init__(
        self,
        primitives: Sequence[str],
        *,
        channels: int,
        layers: int,
        classes: int,
        nodes: int = 4,
        image_channels: int = 3,
        stem: Stem = "cifar",
        reductions: Collection[int] | None = None,
        fused: bool = False,
    ) -> None:
        """reductions: reduction cells, counted from 0; by default at one and two thirds of the layers; may be empty.

        fused: compute all edges that leave a state together, several times faster; results agree up to rounding.
        """
        super().__init__(stem, image_channels, channels)
        self.primitives = tuple(primitives)
        reductions = reduction_layers(layers, reductions)
        self.cells = nn.ModuleList()
        older = newer = self.stem_channels
        after_reduction = self.starts_after_reduction
        for layer in range(layers):
            reduction = layer in reductions
            if reduction:
                channels *= 2
            self.cells.append(
                SearchCell(
                    primitives,
                    nodes,
                    older,
                    newer,
                    channels,
                    reduction=reduction,
                    after_reduction=after_reduction,
                    fused=fused,
                )
            )
            older, newer, after_reduction = newer, nodes * channels, reduction
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(newer, classes)
        # torch does not register parameters in a plain dictionary.
        self.alphas = {
            kind: nn.Parameter(1e-3 * torch.randn(edges_of(nodes), len(self.primitives))) for kind in CELL_KINDS
        }

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to logits (N, classes)."""
        weights = {kind: F.softmax(alpha, dim=-1) for kind, alpha in self.alphas.items()}
        older, newer = self.first_inputs(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, weights["reduce" if cell.reduction else "normal"])
        return self.classifier(self.global_pooling(newer).flatten(1))  # type: ignore[no-any-return]

    def weights(self) -> list[nn.Parameter]:
        """Return all parameters except the alphas."""
        return list(self.parameters())

    def grouped_weights(self) -> Iterator[Tensor]:
        """Yield the weights that fused cells read as one tensor, group by group; none in a plain network."""
        for cell in self._fused_cells():
            assert cell.fused is not None
            yield from cell.fused.parameters(cell)

    def share_statistics_storage(self) -> None:
        """Give running statistics that a fused cell updates as one tensor a common storage; values are unchanged."""
        for cell in self._fused_cells():
            assert cell.fused is not None
            cell.fused.share_statistics_storage(cell)

    def _fused_cells(self) -> list[SearchCell]:
        return [cell for cell in self.cells if isinstance(cell, SearchCell) and cell.fused is not None]

    def genotype(self) -> Genotype:
        """Derive the genotype from the alphas. Raises GenotypeError if an alpha is not finite."""
        return derive(self.alphas["normal"].tolist(), self.alphas["reduce"].tolist(), self.primitives)

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Load saved alphas. Raises KeyError for a missing table, RuntimeError for one of another shape."""
        with torch.no_grad():
            for kind, alpha in self.alphas.items():
                alpha.copy_(alphas[kind])

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> Self:
        # `to`, `double` and `cuda` call this method; it must convert the unregistered alphas too.
        super()._apply(fn, *args, **options)  # type: ignore[no-untyped-call]
        for alpha in self.alphas.values():
            alpha.data = fn(alpha.data)
        return self


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Sum the terms from left to right, the order that defines the exact result."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
