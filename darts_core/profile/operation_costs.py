"""Splits the cost of an evaluation network into shares of single operations on single edges. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from darts_core.genotypes import ConvolutionalGenotype, Edge, Genotype, NasBench201Genotype
from darts_core.genotypes.nasbench201 import EDGE_COUNT
from darts_core.models.layout import reduction_layers
from darts_core.primitives import edges_of
from darts_core.profile.costs import Chain, Map, operation
from darts_core.profile.evaluation import profile
from darts_core.profile.network import stems
from darts_core.profile.shapes import Shape
from darts_core.spaces import space_of
from darts_core.spaces.nasbench201 import CELL, STAGES
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

ByEdge = Mapping[str, Sequence[Sequence[float]]]
"""By kind of cell: one row per edge, one column per primitive."""

Place = tuple[str, Map, int]
"""An operation's name, its input's shape and its stride."""


@dataclass(frozen=True)
class OperationCosts:
    """The cost of each operation on each edge, summed over all cells of a kind, and `fixed`, that of all other layers.

    The cost of a genotype's network is `fixed` and the costs of the operations that its nodes keep.
    """

    fixed: float
    edges: ByEdge


def counted_costs(
    name: Literal["multiply_adds", "parameters"],
    primitives: Sequence[str],
    nodes: int,
    shape: Shape,
    space: str | None = None,
) -> OperationCosts:
    """The exact costs in an evaluation network of this shape."""

    def cost(place: Place) -> float:
        op, seen, stride = place
        chain = Chain(seen)
        operation(op, chain, stride)
        return float(getattr(chain.cost, name))

    return split_costs(lambda genotype: getattr(profile(genotype, shape), name), cost, primitives, nodes, shape, space)


def split_costs(
    whole: Callable[[ConvolutionalGenotype], float],
    cost: Callable[[Place], float],
    primitives: Sequence[str],
    nodes: int,
    shape: Shape,
    space: str | None = None,
) -> OperationCosts:
    """The costs by edge, from those of single operations and that of one whole network.

    The cost of a skip-connection besides an operation is part of the operation's.
    """
    places = _nasbench201_places(shape) if space == NASBENCH201 else _places(nodes, shape)

    def both(op: str, seen: Map, stride: int) -> float:
        return cost((op, seen, stride)) + (cost((_SKIP, seen, stride)) if shape.edge_skips else 0.0)

    edges = {
        kind: [[sum(both(op, *seen) for seen in at) for op in primitives] for at in by_edge]
        for kind, by_edge in places.items()
    }
    taken = sum(both(_SKIP, *seen) for by_edge in _kept(places) for seen in by_edge)
    return OperationCosts(whole(_plain_cell(nodes, space)) - taken, edges)


_Places = dict[str, list[list[tuple[Map, int]]]]
"""By kind of cell and edge: the input's shape and the stride in each cell of that kind."""


def _nasbench201_places(shape: Shape) -> _Places:
    channels, height, width = shape.channels, shape.image, shape.width or shape.image
    maps: list[Map] = []
    for _ in range(STAGES):
        maps += [Map(channels, height, width)] * (shape.layers // STAGES)
        channels, height, width = 2 * channels, -(-height // 2), -(-width // 2)
    return {CELL: [[(seen, 1) for seen in maps]] * EDGE_COUNT}


def _places(nodes: int, shape: Shape) -> _Places:
    _, newer, _, _ = stems(shape)
    found: _Places = {kind: [[] for _ in range(edges_of(nodes))] for kind in ("normal", "reduce")}
    channels, height, width = shape.channels, newer.height, newer.width
    reductions = reduction_layers(shape.layers, shape.reductions)
    for layer in range(shape.layers):
        reduction = layer in reductions
        inner = (-(-height // 2), -(-width // 2)) if reduction else (height, width)
        channels *= 2 if reduction else 1
        for edge, source in enumerate(_sources(nodes)):
            outside = source < 2
            seen = Map(channels, height, width) if outside else Map(channels, *inner)
            found["reduce" if reduction else "normal"][edge].append((seen, 2 if reduction and outside else 1))
        height, width = inner
    return found


_SKIP: Final = "skip_connect"


def _sources(nodes: int) -> Iterator[int]:
    for node in range(nodes):
        yield from range(2 + node)


def _plain_cell(nodes: int, space: str | None) -> ConvolutionalGenotype:
    """A cell of skip-connections, whose nodes add up the cell's two inputs or in NAS-Bench-201's space all before."""
    if space == NASBENCH201:
        return NasBench201Genotype.of_operations([_SKIP] * EDGE_COUNT)
    edges = tuple(Edge(_SKIP, source) for _ in range(nodes) for source in range(2))
    concat = tuple(range(2, 2 + nodes))
    named = space_of(space)
    return Genotype(edges, concat, edges, concat).with_outputs((named and named.outputs) or nodes)


def _kept(places: _Places) -> Iterator[Sequence[tuple[Map, int]]]:
    """The places of the plain cell's edges."""
    for kind, by_edge in places.items():
        if kind == CELL:
            yield from by_edge
            continue
        first, sources = 0, 2
        while first < len(by_edge):
            yield from by_edge[first : first + 2]
            first, sources = first + sources, sources + 1
