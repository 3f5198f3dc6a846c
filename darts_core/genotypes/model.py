"""Genotypes of convolutional cells: the kept operations and the edges between nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from darts_core.errors import GenotypeError
from darts_core.genotypes.edges import BuiltCell, Edge, Edges, PlacedEdge, built, by_node, placed
from darts_core.genotypes.entries import MOST_NODES, cell_edges_from, nodes_from, shown
from darts_core.operation_plugins import added_operations
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS

CnnCell = Literal["normal", "reduce"]
CNN_CELLS: Final[tuple[CnnCell, ...]] = get_args(CnnCell)
# Field names in every format that spells them out, in the order of `Genotype`.
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_PER_NODE: Final = 2


@dataclass(frozen=True)
class Genotype:
    """A convolutional architecture: the kept edges of each node, and the nodes that the cell output concatenates.

    A node keeps two edges, those of node i + 2 at places 2i and 2i + 1: DARTS (arXiv:1806.09055), section 2.4. In a
    sparse genotype a node keeps 0 to 2, and all edges are `PlacedEdge`, in the order of their nodes: FairDARTS
    (arXiv:1911.12126). A genotype whose nodes all keep two never holds those. Raises GenotypeError on construction for
    an illegal edge, so that every Genotype can be built.
    """

    normal: Edges
    normal_concat: tuple[int, ...]
    reduce: Edges
    reduce_concat: tuple[int, ...]

    def __post_init__(self) -> None:
        cells = (("normal", self.normal, self.normal_concat), ("reduce", self.reduce, self.reduce_concat))
        for cell, edges, concat in cells:
            if any(isinstance(edge, PlacedEdge) for edge in edges):
                last = _check_sparse(cell, placed(edges))
            else:
                last = _check_dense(cell, len(edges))
            _check_edges(cell, placed(edges))
            _check_concat(cell, concat, last)
            if not built(edges, concat).concat:
                raise GenotypeError(
                    f"{cell}: all nodes of {cell}_concat, {list(concat)}, are empty: "
                    "none reads an input of the cell, nor a node that does"
                )
        is_sparse = any(len(node) != _PER_NODE for _, edges, concat in cells for node in by_node(edges, concat))
        # One form for equal cells, so that they are equal, have the same hash and the same text.
        for cell, edges, _ in cells:
            same = placed(edges) if is_sparse else tuple(Edge(edge.op, edge.source) for edge in edges)
            object.__setattr__(self, cell, same)

    def __str__(self) -> str:
        """One line of Python in the DARTS authors' format, or FairDARTS' if sparse; `parse` reads it back."""
        normal = f"normal={pairs(self.normal)}, normal_concat={list(self.normal_concat)}"
        return f"Genotype({normal}, reduce={pairs(self.reduce)}, reduce_concat={list(self.reduce_concat)})"

    @classmethod
    def of(
        cls,
        normal: Iterable[Sequence[Any]],
        normal_concat: Iterable[int],
        reduce: Iterable[Sequence[Any]],
        reduce_concat: Iterable[int],
    ) -> Genotype:
        """Build from plain lists, as decoded from JSON or Python text. Raises GenotypeError."""
        return cls(
            cell_edges_from("normal", normal),
            nodes_from("normal_concat", normal_concat),
            cell_edges_from("reduce", reduce),
            nodes_from("reduce_concat", reduce_concat),
        )

    @property
    def is_sparse(self) -> bool:
        """Whether a node keeps less than two edges."""
        return isinstance(self.normal[0], PlacedEdge)

    def with_outputs(self, count: int) -> Genotype:
        """The same edges in cells whose output concatenates the last nodes, so many."""
        normal, reduce = (range(2, 2 + len(self.nodes(cell)))[-count:] for cell in CNN_CELLS)
        return replace(self, normal_concat=tuple(normal), reduce_concat=tuple(reduce))

    def nodes(self, cell: CnnCell) -> tuple[tuple[Edge, ...], ...]:
        """The edges that enter each node of a cell, from node 2 on; none for an empty node."""
        return by_node(*self._cell(cell))

    def built(self, cell: CnnCell) -> BuiltCell:
        """The part of a cell that a network computes: without empty nodes and the edges that read them."""
        return built(*self._cell(cell))

    def _cell(self, cell: CnnCell) -> tuple[Edges, tuple[int, ...]]:
        return (self.normal, self.normal_concat) if cell == "normal" else (self.reduce, self.reduce_concat)


def pairs(edges: Edges) -> str:
    """Write a list of edges as Python does."""
    return f"[{', '.join(str(tuple(edge)) for edge in edges)}]"


def _check_dense(cell: str, count: int) -> int:
    """Returns the number of the last node that the output may concatenate."""
    if not _PER_NODE <= count <= _PER_NODE * MOST_NODES or count % _PER_NODE:
        raise GenotypeError(f"{cell}: expected two entries for each of 1 to {MOST_NODES} nodes, got {count} entries")
    return 1 + count // _PER_NODE


def _check_sparse(cell: str, edges: tuple[PlacedEdge, ...]) -> int:
    """Returns the number of the last node that the output may concatenate."""
    last = 1 + MOST_NODES
    for i, edge in enumerate(edges):
        before = edges[i - 1].node if i else 2
        if not 2 <= edge.node <= last:
            raise GenotypeError(f"{cell}[{i}]: nodes are numbered from 2 to {last}, not {shown(edge.node)}")
        if edge.node < before:
            raise GenotypeError(f"{cell}[{i}]: an edge of node {edge.node} behind one of node {before}")
        if i >= _PER_NODE and edges[i - _PER_NODE].node == edge.node:
            raise GenotypeError(f"{cell}[{i}]: node {edge.node} has a third edge; a node keeps at most {_PER_NODE}")
    return last


def _check_edges(cell: str, edges: tuple[PlacedEdge, ...]) -> None:
    for i, (op, node, source) in enumerate(edges):
        if op not in CNN_GENOTYPE_OPERATIONS and op not in added_operations():
            allowed = ", ".join([*sorted(CNN_GENOTYPE_OPERATIONS), *added_operations()])
            raise GenotypeError(f"{cell}[{i}]: unknown operation {shown(op)}; allowed: {allowed}")
        if not 0 <= source < node:
            raise GenotypeError(
                f"{cell}[{i}]: node {node} can only read states 0 to {node - 1}, not {shown(source)}: "
                "edges lead forward"
            )


def _check_concat(cell: str, concat: tuple[int, ...], last: int) -> None:
    if not concat or len(set(concat)) != len(concat) or not all(2 <= n <= last for n in concat):
        raise GenotypeError(f"{cell}_concat: expected different nodes from 2 to {last}, got {shown(list(concat))}")
