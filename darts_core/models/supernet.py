"""The search network: every edge holds every candidate operation, mixed by the softmax of its alphas.

DARTS (arXiv:1806.09055), sections 2.1 and 2.2. The plain version calls one module an operation: the reference that the
fused one (`darts_core.models.fused`) is checked against. Both have the same modules, parameters and `state_dict`.
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
        """The weighted sum of all operations on x (N, C, H, W). `weights`: (primitives,), they sum to 1; equation 2."""
        return sum_of([weight * op(x) for weight, op in zip(weights, self._ops, strict=True)])


class SearchCell(nn.Module):
    """One cell: node i reads both inputs and all earlier nodes; the output concatenates all nodes."""

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
            # Only the edges from the cell's two inputs halve: nodes are of the reduced size already.
            MixedEdge(primitives, channels, stride=2 if reduction and source < 2 else 1)
            for node in range(nodes)
            for source in range(2 + node)
        )

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor) -> Tensor:
        """The two preceding cells' outputs to (N, nodes * channels, H', W'). `weights`: (edges, primitives)."""
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
    """The network whose alphas a search optimises.

    The alphas are kept out of the module's parameters: `parameters()`, `state_dict()` and `weights()` hold the weights
    alone, so no optimiser of weights can be handed the alphas by mistake. `alphas` maps "normal" and "reduce" to
    (edges, primitives) parameters that all cells of the kind share; they follow the module through `to()`.
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
        """`reductions`: which cells (from 0) reduce; a third and two thirds of the way unless given. May be empty.

        `fused`: compute all edges that leave a state together; the same numbers up to rounding, several times faster.
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
        # A plain dictionary: torch registers the parameters of modules, not those inside it.
        self.alphas = {
            kind: nn.Parameter(1e-3 * torch.randn(edges_of(nodes), len(self.primitives))) for kind in CELL_KINDS
        }

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, channels, H, W) to logits (N, classes)."""
        weights = {kind: F.softmax(alpha, dim=-1) for kind, alpha in self.alphas.items()}
        older, newer = self.first_inputs(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, weights["reduce" if cell.reduction else "normal"])
        return self.classifier(self.global_pooling(newer).flatten(1))  # type: ignore[no-any-return]

    def weights(self) -> list[nn.Parameter]:
        """Everything that is trained except the alphas."""
        return list(self.parameters())

    def grouped_weights(self) -> Iterator[Tensor]:
        """The weights that a fused cell reads as one, neighbour by neighbour: none in a plain network."""
        for cell in self._fused_cells():
            assert cell.fused is not None
            yield from cell.fused.parameters(cell)

    def share_statistics_storage(self) -> None:
        """Let the running statistics that a fused cell updates as one share their memory; nothing else changes."""
        for cell in self._fused_cells():
            assert cell.fused is not None
            cell.fused.share_statistics_storage(cell)

    def _fused_cells(self) -> list[SearchCell]:
        return [cell for cell in self.cells if isinstance(cell, SearchCell) and cell.fused is not None]

    def genotype(self) -> Genotype:
        """The cell that the alphas stand for now. Raises GenotypeError when an alpha is not finite."""
        return derive(self.alphas["normal"].tolist(), self.alphas["reduce"].tolist(), self.primitives)

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Copy saved alphas in. Raises KeyError or RuntimeError when a table is missing or of another shape."""
        with torch.no_grad():
            for kind, alpha in self.alphas.items():
                alpha.copy_(alphas[kind])

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> Self:
        # What `to`, `double`, `cuda` and their like go through: the unregistered alphas must come along.
        super()._apply(fn, *args, **options)  # type: ignore[no-untyped-call]
        for alpha in self.alphas.values():
            alpha.data = fn(alpha.data)
        return self


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Left to right, as the reference order: floating-point addition is not associative."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
