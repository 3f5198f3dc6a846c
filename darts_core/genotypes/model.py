"""Genotypes of convolutional cells: the kept operations and the edges between nodes. Imports no torch."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from darts_core.errors import GenotypeError
from darts_core.genotypes.operation_names import canonical
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS

# Published cells have at most 5; twice as many is a mistake or an attack.
MOST_NODES = 12
# Field names in every format that spells them out, in the order of `Genotype`.
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple = 3, 2 * MOST_NODES, 2 * MOST_NODES


class Edge(NamedTuple):
    """One kept edge: the operation and the state that it reads (0 and 1 are the cell's inputs, 2.. its nodes)."""

    op: str
    source: int


@dataclass(frozen=True)
class Genotype:
    """A convolutional architecture: two edges per node, and the nodes that the cell output concatenates.

    DARTS (arXiv:1806.09055), section 2.4. Raises GenotypeError on construction for an illegal edge, so that every
    Genotype can be built.
    """

    normal: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_cell("normal", self.normal, self.normal_concat)
        _check_cell("reduce", self.reduce, self.reduce_concat)

    def __str__(self) -> str:
        """One line of Python in the DARTS authors' format; `parse` reads it back."""
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
            edges_from("normal", normal),
            nodes_from("normal_concat", normal_concat),
            edges_from("reduce", reduce),
            nodes_from("reduce_concat", reduce_concat),
        )


def pairs(edges: Iterable[Edge]) -> str:
    """Write a list of pairs as Python does."""
    return f"[{', '.join(f'({op!r}, {source})' for op, source in edges)}]"


def _shown(value: Any) -> str:
    """A short repr for messages: input is cut, since lists that share parts can unfold without end."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an int with more digits than Python converts to text
        return f"a huge {type(value).__name__}"


def edges_from(cell: str, entries: Any) -> tuple[Edge, ...]:
    """Parse the edges of one cell from plain lists. Raises GenotypeError that names the bad one."""
    if not isinstance(entries, (list, tuple)):
        raise GenotypeError(f"{cell}: expected a list of [operation, node] pairs, got {_shown(entries)}")
    # Some ports nest the pairs of a node in a list.
    if entries and all(isinstance(e, (list, tuple)) and e and isinstance(e[0], (list, tuple)) for e in entries):
        entries = [pair for node in entries for pair in node]
    edges = []
    for i, entry in enumerate(entries):
        match entry:
            case [str(op), int(source)] | [str(op), int(source), float()] if not isinstance(source, bool):
                # Some ports keep the edge's weight as the third item.
                edges.append(Edge(canonical(op), source))
            case [str(), int(), int()]:
                raise GenotypeError(
                    f"{cell}[{i}]: {_shown(entry)} is an edge of FairDARTS' sparse cells, (operation, node, source): "
                    "only cells with two edges a node, (operation, source), are built here"
                )
            case _:
                raise GenotypeError(f"{cell}[{i}]: expected [operation, node], got {_shown(entry)}")
    return tuple(edges)


def nodes_from(field: str, nodes: Any) -> tuple[int, ...]:
    """Parse a list of node numbers. Raises GenotypeError."""
    if not isinstance(nodes, (list, tuple, range)) or not all(type(n) is int for n in nodes):
        raise GenotypeError(f"{field}: expected a list of node numbers, got {_shown(nodes)}")
    return tuple(nodes)


def _check_cell(cell: str, edges: tuple[Edge, ...], concat: tuple[int, ...]) -> None:
    if not 2 <= len(edges) <= 2 * MOST_NODES or len(edges) % 2:
        raise GenotypeError(
            f"{cell}: expected two entries for each of 1 to {MOST_NODES} nodes, got {len(edges)} entries"
        )
    for i, (op, source) in enumerate(edges):
        if op not in CNN_GENOTYPE_OPERATIONS:
            allowed = ", ".join(sorted(CNN_GENOTYPE_OPERATIONS))
            source_of = " of RobustDARTS' space S4" if op == "noise" else ""
            raise GenotypeError(f"{cell}[{i}]: unknown operation {_shown(op)}{source_of}; allowed: {allowed}")
        node = 2 + i // 2
        if not 0 <= source < node:
            raise GenotypeError(
                f"{cell}[{i}]: node {node} can only read states 0 to {node - 1}, not {_shown(source)}: "
                "edges lead forward"
            )
    last = 1 + len(edges) // 2
    if not concat or len(set(concat)) != len(concat) or not all(2 <= n <= last for n in concat):
        raise GenotypeError(f"{cell}_concat: expected different nodes from 2 to {last}, got {_shown(list(concat))}")
