"""Computes the cost of an evaluation network of normal and reduction cells, cell by cell. Imports no torch.

Mirrors darts_core/models/evaluation_network.py; tests check that the numbers agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from darts_core.genotypes import BuiltCell, Genotype
from darts_core.genotypes.model import CnnCell
from darts_core.models.layout import AUXILIARY_CHANNELS, STEM_MULTIPLIER, auxiliary_layer, reduction_layers
from darts_core.profile.costs import Chain, Cost, Map, newer_input, older_input, operation
from darts_core.profile.shapes import Shape

CellKind = Literal["normal", "reduce", "cell", "block"]


@dataclass(frozen=True)
class CellProfile:
    """Cost of one cell, or of a residual block between NAS-Bench-201's stages.

    channels, height and width: of its output, all nodes concatenated.
    """

    index: int
    kind: CellKind
    channels: int
    height: int
    width: int
    parameters: int
    multiply_adds: int
    activation_bytes: int
    training_bytes: int


@dataclass(frozen=True)
class Profile:
    """Cost of one forward pass of one image in evaluation mode, without the auxiliary head.

    parameters: trainable. multiply_adds: of convolutions and linear layers. activation_bytes: of all layer outputs as
    float32, an upper bound: inference frees most of them. training_bytes: of those kept for the backward pass. `stem`
    and `classifier`: the layers outside the cells.
    """

    parameters: int
    parameters_with_auxiliary: int
    multiply_adds: int
    activation_bytes: int
    training_bytes: int
    stem: Cost
    cells: tuple[CellProfile, ...]
    classifier: Cost

    def totals(self) -> dict[str, int]:
        """The three totals of published tables."""
        return {
            "parameters": self.parameters,
            "parameters_with_auxiliary": self.parameters_with_auxiliary,
            "multiply_adds": self.multiply_adds,
        }


def profile_cells(genotype: Genotype, shape: Shape) -> Profile:
    """Profile the evaluation network of a genotype. Takes milliseconds at any size."""
    older, newer, stem, after_reduction = stems(shape)
    reductions = reduction_layers(shape.layers, shape.reductions)
    channels, auxiliary_inputs = shape.channels, 0
    total, cells = stem, []
    for layer in range(shape.layers):
        reduction = layer in reductions
        if reduction:
            channels *= 2
        kind: CnnCell = "reduce" if reduction else "normal"
        cell = genotype.built(kind)
        out, cost = _cell(
            cell,
            older,
            newer,
            channels,
            reduction=reduction,
            after_reduction=after_reduction,
            edge_skips=shape.edge_skips,
        )
        cells.append(cell_profile(layer, kind, out, cost))
        total += cost
        older, newer, after_reduction = newer, out, reduction
        if layer == auxiliary_layer(shape.layers, shape.reductions):
            auxiliary_inputs = out.channels
    classifier = Chain(newer).global_pool().linear(shape.classes).cost
    total += classifier
    return Profile(
        parameters=total.parameters,
        parameters_with_auxiliary=total.parameters + _auxiliary_parameters(auxiliary_inputs, shape),
        multiply_adds=total.multiply_adds,
        activation_bytes=total.activation_bytes,
        training_bytes=total.training_bytes,
        stem=stem,
        cells=tuple(cells),
        classifier=classifier,
    )


def stems(shape: Shape) -> tuple[Map, Map, Cost, bool]:
    """The first cell's inputs (older, newer), the stem's cost, and whether the cell counts as following a reduction."""
    images = Chain(Map(shape.image_channels, shape.image, shape.width or shape.image))
    batch = Cost(kept=images.map.size)  # the first convolution keeps the images themselves
    half, twice = shape.channels // 2, (2, 2)
    if shape.stem != "imagenet":
        strides = twice if shape.stem == "half" else (1, 1)
        images.convolution(STEM_MULTIPLIER * shape.channels, (3, 3), strides).norm()
        return images.map, images.map, images.cost + batch, False
    images.convolution(half, (3, 3), twice).norm().relu().convolution(shape.channels, (3, 3), twice).norm()
    second = Chain(images.map).relu().convolution(shape.channels, (3, 3), twice).norm()
    return images.map, second.map, images.cost + second.cost + batch, True


def _cell(
    cell: BuiltCell,
    older: Map,
    newer: Map,
    channels: int,
    *,
    reduction: bool,
    after_reduction: bool,
    edge_skips: bool,
) -> tuple[Map, Cost]:
    """The shape of a cell's output, and the cell's cost."""
    inputs = [Chain(older), Chain(newer)]
    older_input(inputs[0], channels, after_reduction=after_reduction)
    newer_input(inputs[1], channels)
    states = {state: chain.map for state, chain in enumerate(inputs)}
    cost = inputs[0].cost + inputs[1].cost
    kept_states = set()
    for node, edges in enumerate(cell.nodes, 2):
        for op, source in edges:
            chain = Chain(states[source])
            operation(op, chain, 2 if reduction and source < 2 else 1)
            cost += chain.cost
            states[node] = chain.map
            keeps_start = chain.keeps_start
            if edge_skips:
                skip = Chain(states[source])
                operation("skip_connect", skip, 2 if reduction and source < 2 else 1)
                cost += skip.cost + Cost(activations=skip.map.size)
                keeps_start = keeps_start or skip.keeps_start
            if keeps_start:
                kept_states.add(source)
        if len(edges) > 1:
            cost += Cost(activations=states[node].size)  # the sum of the edges
    node_map = states[cell.concat[0]]
    out = Map(len(cell.concat) * channels, node_map.height, node_map.width)
    return out, cost + Cost(activations=out.size, kept=sum(states[source].size for source in kept_states))


def cell_profile(index: int, kind: CellKind, out: Map, cost: Cost) -> CellProfile:
    """The cost of one cell with this output."""
    return CellProfile(
        index,
        kind,
        out.channels,
        out.height,
        out.width,
        cost.parameters,
        cost.multiply_adds,
        cost.activation_bytes,
        cost.training_bytes,
    )


def _auxiliary_parameters(inputs: int, shape: Shape) -> int:
    """Parameters of the head: 1x1 convolution, BatchNorm, 2x2 convolution, BatchNorm (not for ImageNet), linear."""
    narrow, wide = AUXILIARY_CHANNELS
    norms = 2 * narrow + (0 if shape.stem == "imagenet" else 2 * wide)
    return inputs * narrow + narrow * wide * 4 + norms + wide * shape.classes + shape.classes
