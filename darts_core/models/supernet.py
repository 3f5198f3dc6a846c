"""Builds the supernet: every edge mixes all candidate operations by the weights that the search method makes of alphas.

DARTS (arXiv:1806.09055), sections 2.1 and 2.2. The plain version calls one module per operation and is the reference
for the fused one (`darts_core.models.fused`). Both have the same modules, parameters and `state_dict`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darts_core.configs import SearchConfig
from darts_core.genotypes import Genotype
from darts_core.methods.method import SearchMethod
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.fused.dispatch import FusedCell
from darts_core.models.fused.preprocess import preprocess
from darts_core.models.layout import Stem, reduction_layers
from darts_core.models.operations import Absent, DroppedSkip, FactorizedReduce, Identity, Noise, drawing_in, operation
from darts_core.models.partial import bypass, shuffled
from darts_core.models.skeleton import StemNetwork, newer_input, older_input
from darts_core.primitives import edges_of

CELL_KINDS = ("normal", "reduce")
_SKIP = "skip_connect"


class MixedEdge(nn.Module):
    """All candidate operations of one edge."""

    def __init__(
        self,
        primitives: Sequence[str],
        channels: int,
        stride: int,
        *,
        branch: bool = False,
        names: Collection[str] | None = None,
        dropout: bool = False,
        skip: bool = False,
    ) -> None:
        """branch: with a factorized reduction besides the operations, where the stride is 2.

        names: the primitives that this edge has, if it lacks some. dropout: with dropout of a skip-connection, where
        the stride is 1. skip: with a skip-connection of weight 1 besides the operations.
        """
        super().__init__()
        self.stride = stride
        self._branch = FactorizedReduce(channels, channels, affine=False) if branch and stride == 2 else None
        self._ops = nn.ModuleList(
            operation(name, channels, stride, search=True) if names is None or name in names else Absent()
            for name in primitives
        )
        if dropout:
            for place, op in enumerate(self._ops):
                if isinstance(op, Identity):
                    self._ops[place] = DroppedSkip()
        self.skip = operation(_SKIP, channels, stride, search=True) if skip else None

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of all operations on x (N, C, H, W): equation 2. weights: (primitives,), sum 1."""
        mixed = sum_of(
            [weight * op(x) for weight, op in zip(weights, self._ops, strict=True) if not isinstance(op, Absent)]
        )
        return self._skipped(mixed, x)

    def branch(self, x: Tensor) -> Tensor:
        """Return the output of the branch besides the operations, for an edge of stride 2 that has one."""
        assert self._branch is not None
        return self._branch(x)  # type: ignore[no-any-return]

    def sampled(self, x: Tensor, weights: Tensor, chosen: int) -> Tensor:
        """Return the weighted output of a single operation."""
        return self._skipped(weights[chosen] * self._ops[chosen](x), x)

    def _skipped(self, out: Tensor, x: Tensor) -> Tensor:
        return out if self.skip is None else out + self.skip(x)


class SearchCell(nn.Module):
    """One cell of the supernet: a node reads both inputs and all earlier nodes; the output concatenates nodes."""

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
        partial: int = 1,
        branches: bool = False,
        lists: Sequence[Collection[str]] | None = None,
        dropout: bool = False,
        edge_skips: bool = False,
        outputs: int | None = None,
    ) -> None:
        """partial: K, if the operations see one of K channels only (`darts_core.models.partial`). branches: give edges
        of stride 2 a branch besides their operations. lists: the operations of each edge, if edges lack some. dropout:
        with dropout of skip-connections of stride 1. edge_skips: with a skip-connection of weight 1 besides the
        operations of each edge. outputs: number of the last nodes that the output concatenates, by default all.
        """
        super().__init__()
        self.nodes, self.partial, self.dropout = nodes, partial, dropout
        self.edge_skips, self._outputs = edge_skips, outputs or nodes
        # The weight of an identity besides the operations is added to that of `skip_connect`.
        suits = not edge_skips or (partial == 1 and all(_SKIP in names for names in lists or [primitives]))
        self.fused = FusedCell(primitives, lists) if fused and suits else None
        self.reduction = reduction
        self.preprocess0 = older_input(older, channels, after_reduction=after_reduction, affine=False)
        self.preprocess1 = newer_input(newer, channels, affine=False)
        self._ops = nn.ModuleList(
            # Only edges from the cell's two inputs have stride 2: its nodes already have the reduced size.
            MixedEdge(
                primitives,
                channels // partial,
                stride=2 if reduction and source < 2 else 1,
                branch=branches,
                names=None if lists is None else lists[edges_of(node) + source],
                dropout=dropout,
                skip=edge_skips,
            )
            for node in range(nodes)
            for source in range(2 + node)
        )
        # Of the fused cell: 1 at the identities that edges have besides.
        self._identities = torch.tensor(
            [
                [float(name == _SKIP and not (reduction and source < 2)) for name in primitives]
                for node in range(nodes)
                for source in range(2 + node)
            ]
        )
        edges: Iterable[Any] = self._ops
        self._noises = {
            place: (column, op)
            for place, edge in enumerate(edges)
            for column, op in enumerate(edge._ops)
            if isinstance(op, Noise)
        }

    def forward(
        self,
        older: Tensor,
        newer: Tensor,
        weights: Tensor,
        edge_weights: Tensor | None = None,
        chosen: Sequence[int | None] | None = None,
        branch_weight: Tensor | None = None,
        path_factors: Tensor | None = None,
    ) -> Tensor:
        """Map the outputs of the two preceding cells to (N, outputs * channels, H', W'). weights: (edges, primitives).

        edge_weights: (edges,), of the channels that bypass the operations; `weights` hold them as a factor.
        chosen: the only operation of each edge whose weight is not 0, or None for an edge that has none, if no edge has
        several; no other is computed. Each node needs one edge at least.
        branch_weight: a scalar, of the edges' branches. path_factors: (N, edges), of each sample's edges.
        """
        if self.fused is None:
            states = [self.preprocess0(older), self.preprocess1(newer)]
        else:
            states = [preprocess(self.preprocess0, older), preprocess(self.preprocess1, newer)]
        if self.fused is not None and self.fused.suits(self, states[0]):
            beside = None if branch_weight is None else self._branches(states, branch_weight)
            if self._noises:
                noise = self._noise(states[0], weights, path_factors)
                beside = noise if beside is None else [a + b for a, b in zip(beside, noise, strict=True)]
            if self.edge_skips:
                weights = weights + self._identity_weights(weights, chosen)
            if self.edge_skips and self.reduction:
                skips = self._reductions(states, chosen, path_factors)
                beside = skips if beside is None else [a + b for a, b in zip(beside, skips, strict=True)]
            out = self.fused(self, states[0], states[1], weights, edge_weights, beside, path_factors)
            return out if self._outputs == self.nodes else out[:, -self._outputs * states[0].shape[1] :]
        beside = None if branch_weight is None else self._branches(states, branch_weight)
        first = 0
        for _ in range(self.nodes):
            edges = range(first, first + len(states))
            outputs = {
                e: self._edge(e, x, weights[e], None if edge_weights is None else edge_weights[e], chosen)
                for e, x in zip(edges, states, strict=True)
                if chosen is None or chosen[e] is not None
            }
            if path_factors is not None:
                outputs = {e: out * path_factors[:, e, None, None, None].to(out.dtype) for e, out in outputs.items()}
            node = sum_of(list(outputs.values()))
            if beside is not None:
                node = node + beside[len(states) - 2]
            states.append(node if self.partial == 1 else shuffled(node, self.partial))
            first += len(edges)
        return torch.cat(states[-self._outputs :], dim=1)

    def _noise(self, older: Tensor, weights: Tensor, path_factors: Tensor | None) -> list[Tensor]:
        """The weighted noise of each node's edges, drawn in their order. older: an input of the cell."""
        stride = 2 if self.reduction else 1
        like = older.detach()[:, :, ::stride, ::stride]
        found: list[Tensor] = []
        for node in range(self.nodes):
            terms = []
            for edge in range(edges_of(node), edges_of(node + 1)):
                if edge in self._noises:
                    column, noise = self._noises[edge]
                    term = weights[edge, column] * noise.drawn(like)
                    terms.append(term if path_factors is None else path_factors[:, edge, None, None, None] * term)
            found.append(sum_of(terms) if terms else torch.zeros_like(like))
        return found

    def _identity_weights(self, weights: Tensor, chosen: Sequence[int | None] | None) -> Tensor:
        """What the identities besides the operations add to the weights of `skip_connect`."""
        if self._identities.device != weights.device or self._identities.dtype != weights.dtype:
            self._identities = self._identities.to(weights)
        if chosen is None or None not in chosen:
            return self._identities
        return self._identities * weights.new_tensor([[float(operation is not None)] for operation in chosen])

    def _reductions(
        self, inputs: Sequence[Tensor], chosen: Sequence[int | None] | None, path_factors: Tensor | None
    ) -> list[Tensor]:
        """The sum of the factorized reductions that each node's edges have besides their operations."""
        found: list[Tensor] = []
        for node in range(self.nodes):
            terms = []
            for edge, x in enumerate(inputs, edges_of(node)):
                if chosen is None or chosen[edge] is not None:
                    out = self._ops[edge].skip(x)  # type: ignore[operator]
                    terms.append(out if path_factors is None else path_factors[:, edge, None, None, None] * out)
            found.append(sum_of(terms) if terms else torch.zeros_like(inputs[0][:, :, ::2, ::2]))
        return found

    def _branches(self, inputs: Sequence[Tensor], weight: Tensor) -> list[Tensor] | None:
        """The weighted branches of each node's edges from the cell's two inputs; None where they have stride 1."""
        if not self.reduction:
            return None
        found, first = [], 0
        for node in range(self.nodes):
            edges: list[MixedEdge] = [self._ops[first + source] for source in range(2)]  # type: ignore[misc]
            found.append(weight * sum_of([edge.branch(x) for edge, x in zip(edges, inputs, strict=True)]))
            first += 2 + node
        return found

    def _edge(
        self, edge: int, x: Tensor, weights: Tensor, edge_weight: Tensor | None, chosen: Sequence[int | None] | None
    ) -> Tensor:
        mixed: MixedEdge = self._ops[edge]  # type: ignore[assignment]
        seen = x if self.partial == 1 else x[:, : x.shape[1] // self.partial]
        operation = None if chosen is None else chosen[edge]
        out = mixed(seen, weights) if operation is None else mixed.sampled(seen, weights, operation)
        if self.partial == 1:
            return out
        rest = bypass(x[:, seen.shape[1] :], mixed.stride)
        return torch.cat([out, rest if edge_weight is None else edge_weight * rest], dim=1)


class SearchNetwork(AlphaNetwork, StemNetwork):
    """The supernet of a search for convolutional cells.

    `alphas` maps "normal" and "reduce" to (edges, primitives) parameters that all cells of the kind share, and for some
    methods "normal_edges" and "reduce_edges" to (edges, 1) ones.
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
        method: SearchMethod | None = None,
        edge_skips: bool = False,
        outputs: int | None = None,
    ) -> None:
        """method: makes operation weights of the alphas, by default as DARTS does.

        reductions: reduction cells, counted from 0; by default at one and two thirds of the layers; may be empty.

        fused: compute all edges that leave a state together, several times faster; results agree up to rounding.
        edge_skips, outputs: as in a `SearchCell`.
        """
        super().__init__(stem, image_channels, channels)
        self.primitives = tuple(primitives)
        self._outputs = outputs or nodes
        self.method = method or SearchMethod(SearchConfig(dataset="digits"))
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
                    partial=self.method.partial,
                    branches=self.method.branches,
                    lists=self.method.lists.get("reduce" if reduction else "normal"),
                    dropout=self.method.stage.skip_dropout > 0,
                    edge_skips=edge_skips,
                    outputs=self._outputs,
                )
            )
            older, newer, after_reduction = newer, self._outputs * channels, reduction
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(newer, classes)
        self._drawing = drawing_in(self)
        # torch does not register parameters in a plain dictionary.
        self.alphas = {
            name: nn.Parameter(table)
            for name, table in self.method.tables(CELL_KINDS, nodes, edges_of(nodes), len(self.primitives)).items()
        }
        self.method.rest(self.alphas)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to logits (N, classes)."""
        if self._drawing:
            source = self.method.noise(x.device)
            for module in self._drawing:
                module.generator = source
                if isinstance(module, DroppedSkip):
                    module.rate = self.method.skip_dropout
        weights = self.method.operation_weights(self.alphas)
        edge_weights = self.method.edge_weights(self.alphas)
        chosen = self.method.chosen(weights)
        branch_weight = self.method.branch_weight(x) if self.method.branches else None
        edges = len(weights["normal"])
        factors = self.method.path_factors(len(self.cells), edges, x) if self.training else None
        older, newer = self.first_inputs(x)
        for place, cell in enumerate(self.cells):
            kind = "reduce" if cell.reduction else "normal"
            of_paths = None if factors is None else factors[place]
            older, newer = (
                newer,
                cell(older, newer, weights[kind], edge_weights.get(kind), chosen.get(kind), branch_weight, of_paths),
            )
        return self.classifier(self.global_pooling(newer).flatten(1))  # type: ignore[no-any-return]

    def genotype(self) -> Genotype:
        """Derive the genotype from the alphas. Raises GenotypeError if an alpha is not finite."""
        found = super().genotype()
        assert isinstance(found, Genotype)
        return found.with_outputs(self._outputs)

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


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Sum the terms from left to right, the order that defines the exact result."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
