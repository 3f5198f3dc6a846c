"""Describes a genotype for drawing: its cells, the operations of each node, and their strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from darts_core.errors import DrawingError
from darts_core.genotypes import AnyGenotype, Edge, NasBench201Genotype, RecurrentGenotype
from darts_core.genotypes.derive import Table
from darts_core.genotypes.model import CNN_CELLS
from darts_core.primitives import edges_of, recurrent_edges_of
from darts_core.spaces.nasbench201 import CELL, NODES

CellKind = Literal["normal", "reduce", "recurrent", "cell"]
HEADINGS: Final[dict[CellKind, str]] = {
    "normal": "Normal cell",
    "reduce": "Reduction cell",
    "recurrent": "Recurrent cell",
    "cell": "Cell",
}


@dataclass(frozen=True)
class Operation:
    """One kept edge. weight: its operation's strength, from 0 to 1; None without a search."""

    name: str
    source: int
    weight: float | None = None


@dataclass(frozen=True)
class Cell:
    """One cell. nodes: operations into each node, ordered by source; none into an empty node of a sparse cell.
    `output` joins the nodes of `concat`, without empty ones.

    States are numbered as in the genotype: in a convolutional cell 0 and 1 are its two inputs; in a recurrent one both
    inputs form state 0; a cell of NAS-Bench-201 has a single input, state 0, and its output is its last node.
    """

    kind: CellKind
    nodes: tuple[tuple[Operation, ...], ...]
    concat: tuple[int, ...]

    @property
    def recurrent(self) -> bool:
        """Whether both inputs form one state 0."""
        return self.kind == "recurrent"

    @property
    def first(self) -> int:
        """The number of the first node."""
        return 1 if self.recurrent or self.kind == "cell" else 2

    @property
    def inputs(self) -> tuple[str, ...]:
        """Labels of the inputs."""
        if self.kind == "cell":
            return ("c_{k-1}",)
        return ("x_{t}", "h_{t-1}") if self.recurrent else ("c_{k-2}", "c_{k-1}")

    @property
    def output(self) -> str:
        """Label of the output."""
        return "h_{t}" if self.recurrent else "c_{k}"

    def state(self, number: int) -> str:
        """Describe a state in words."""
        if number < self.first:
            return "state 0" if self.recurrent else self.inputs[number]
        return f"node {number}"


def cells_of(
    genotype: AnyGenotype, strengths: Mapping[str, Table] | None = None, primitives: Sequence[str] | None = None
) -> tuple[Cell, ...]:
    """The normal and reduction cells, or the only one.

    strengths: tables by cell kind, with the primitives of their columns. Raises DrawingError when they do not fit.
    """
    parts: tuple[tuple[CellKind, tuple[tuple[Edge, ...], ...], tuple[int, ...]], ...]
    if isinstance(genotype, RecurrentGenotype):
        parts = (("recurrent", tuple((edge,) for edge in genotype.recurrent), genotype.concat),)
    elif isinstance(genotype, NasBench201Genotype):
        parts = ((CELL, genotype.nodes(), (NODES,)),)
    else:
        parts = tuple((kind, genotype.nodes(kind), genotype.built(kind).concat) for kind in CNN_CELLS)
    return tuple(
        Cell(kind, _nodes(kind, nodes, None if strengths is None else strengths.get(kind), primitives or ()), concat)
        for kind, nodes, concat in parts
    )


def _nodes(
    kind: CellKind, edges: tuple[tuple[Edge, ...], ...], table: Table | None, primitives: Sequence[str]
) -> tuple[tuple[Operation, ...], ...]:
    rows_before = edges_of if kind in CNN_CELLS else recurrent_edges_of
    nodes = []
    for node, entering in enumerate(edges):
        kept = [
            Operation(e.op, e.source, _weight(kind, table, rows_before(node) + e.source, e.op, primitives))
            for e in entering
        ]
        # By source, not by strength as in the genotype, so that an operation keeps its position while strengths change.
        nodes.append(tuple(sorted(kept, key=lambda operation: operation.source)))
    return tuple(nodes)


def _weight(kind: CellKind, table: Table | None, row: int, op: str, primitives: Sequence[str]) -> float | None:
    if table is None:
        return None
    if op not in primitives or row >= len(table) or len(table[row]) != len(primitives):
        raise DrawingError(f"the strengths of the {kind} cell do not fit its genotype: no weight of {op} on edge {row}")
    return table[row][list(primitives).index(op)]
