"""Represents the kept edges of a convolutional cell, two to a node or sparse. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Edge(NamedTuple):
    """One kept edge: the operation and the state that it reads (0 and 1 are the cell's inputs, 2.. its nodes)."""

    op: str
    source: int


class PlacedEdge(NamedTuple):
    """One kept edge of a sparse cell, whose nodes keep 0 to 2 edges: the node that it enters is explicit."""

    op: str
    node: int
    source: int


Edges = tuple[Edge, ...] | tuple[PlacedEdge, ...]


class BuiltCell(NamedTuple):
    """The part of a cell that a network computes.

    nodes: the edges of each node; none for an empty node. concat: the nodes that the output concatenates.
    """

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]


def placed(edges: Edges) -> tuple[PlacedEdge, ...]:
    """All edges with their nodes. Entries 2i and 2i + 1 of a cell with two edges a node enter node i + 2."""
    every: Sequence[Edge | PlacedEdge] = edges
    return tuple(
        edge if isinstance(edge, PlacedEdge) else PlacedEdge(edge.op, 2 + place // 2, edge.source)
        for place, edge in enumerate(every)
    )


def last_node(edges: Iterable[PlacedEdge], concat: Iterable[int]) -> int:
    """The number of a cell's last node: the highest that an edge enters or the output concatenates."""
    return max((*(edge.node for edge in edges), *concat))


def by_node(edges: Edges, concat: Iterable[int]) -> tuple[tuple[Edge, ...], ...]:
    """The edges that enter each node, from node 2 on; none for an empty node."""
    found = placed(edges)
    return tuple(
        tuple(Edge(edge.op, edge.source) for edge in found if edge.node == node)
        for node in range(2, last_node(found, concat) + 1)
    )


def built(edges: Edges, concat: tuple[int, ...]) -> BuiltCell:
    """The part of a cell that a network computes.

    An edge that reads an empty node is left out, as is an empty node from the output: both would be zeros. A node whose
    edges are all left out is empty itself. FairDARTS (arXiv:1911.12126), the authors' code.
    """
    filled = {0, 1}
    nodes = []
    for node, kept in enumerate(by_node(edges, concat), 2):
        nodes.append(tuple(edge for edge in kept if edge.source in filled))
        if nodes[-1]:
            filled.add(node)
    return BuiltCell(tuple(nodes), tuple(node for node in concat if node in filled))
