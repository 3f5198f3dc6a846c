"""Parses the edges and nodes of a cell from plain lists, as decoded from JSON or Python text. Imports no torch."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any, Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.edges import Edge, Edges, PlacedEdge
from darts_core.genotypes.operation_names import canonical

# Published cells have at most 5; twice as many is a mistake or an attack.
MOST_NODES: Final = 12

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple = 3, 2 * MOST_NODES, 2 * MOST_NODES


def shown(value: Any) -> str:
    """A short repr for messages: input is cut, since lists that share parts can unfold without end."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an int with more digits than Python converts to text
        return f"a huge {type(value).__name__}"


def cell_edges_from(cell: str, entries: Any) -> Edges:
    """Parse the edges of a convolutional cell: [operation, source] of each, or [operation, node, source] if sparse.

    Raises GenotypeError that names the bad one.
    """
    entries = _flat(cell, entries)
    if not any(_is_placed(entry) for entry in entries):
        return _pairs_from(cell, entries)
    edges = []
    for i, entry in enumerate(entries):
        if not _is_placed(entry):
            raise GenotypeError(
                f"{cell}[{i}]: expected [operation, node, source] as in the cell's other edges, got {shown(entry)}"
            )
        op, node, source = entry
        edges.append(PlacedEdge(canonical(op), node, source))
    return tuple(edges)


def edges_from(cell: str, entries: Any) -> tuple[Edge, ...]:
    """Parse the edges of a cell without sparse ones from [operation, source] pairs. Raises GenotypeError that names the
    bad one.
    """
    return _pairs_from(cell, _flat(cell, entries))


def nodes_from(field: str, nodes: Any) -> tuple[int, ...]:
    """Parse a list of node numbers. Raises GenotypeError."""
    if not isinstance(nodes, (list, tuple, range)) or not all(type(n) is int for n in nodes):
        raise GenotypeError(f"{field}: expected a list of node numbers, got {shown(nodes)}")
    return tuple(nodes)


def _flat(cell: str, entries: Any) -> Sequence[Any]:
    if not isinstance(entries, (list, tuple)):
        raise GenotypeError(f"{cell}: expected a list of [operation, node] pairs, got {shown(entries)}")
    # Some ports nest the pairs of a node in a list.
    if entries and all(isinstance(e, (list, tuple)) and e and isinstance(e[0], (list, tuple)) for e in entries):
        return [pair for node in entries for pair in node]
    return entries


def _is_placed(entry: Any) -> bool:
    match entry:
        case [str(), int(node), int(source)]:
            return not isinstance(node, bool) and not isinstance(source, bool)
    return False


def _pairs_from(cell: str, entries: Sequence[Any]) -> tuple[Edge, ...]:
    edges = []
    for i, entry in enumerate(entries):
        match entry:
            case [str(op), int(source)] | [str(op), int(source), float()] if not isinstance(source, bool):
                # Some ports keep the edge's weight as the third item.
                edges.append(Edge(canonical(op), source))
            case _:
                raise GenotypeError(f"{cell}[{i}]: expected [operation, node], got {shown(entry)}")
    return tuple(edges)
