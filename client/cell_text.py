"""Describes a search's current cell in words: the chosen operations of each node, with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One operation of a derived cell. weight: its strength among the edge's candidates, from 0 to 1."""

    node: str
    operation: str
    source: str
    weight: float


def choices(
    genotype: Mapping[str, Any], strengths: Mapping[str, Any], spec: Mapping[str, Any]
) -> dict[str, list[Choice]]:
    """Choices by cell kind, node by node. strengths: tables of an epoch."""
    return {cell: _of_cell(cell, genotype[cell], table, spec["primitives"]) for cell, table in strengths.items()}


def inputs_of(cell: str) -> int:
    """Number of states before the first node, by the kind of cell."""
    return 2 if cell in ("normal", "reduce") else 1


def edges(count: int, inputs: int) -> list[tuple[int, int]]:
    """Node and source of each row of a table. inputs: number of states before the first node."""
    rows: list[tuple[int, int]] = []
    node = inputs
    while len(rows) < count:
        rows += [(node, source) for source in range(node)]
        node += 1
    return rows


def _of_cell(cell: str, chosen: list[Any], table: list[list[float]], primitives: list[str]) -> list[Choice]:
    inputs = inputs_of(cell)
    rows = edges(len(table), inputs)
    row_of = {edge: row for row, edge in enumerate(rows)}
    found = []
    for place, (operation, source) in enumerate(chosen):
        # A cell of NAS-Bench-201 keeps all edges, others as many a node as they have inputs.
        node = rows[place][0] if cell == "cell" else inputs + place // inputs
        weight = table[row_of[node, source]][primitives.index(operation)]
        found.append(Choice(f"{node}", operation, _state(source, cell), weight))
    return found


def _state(index: int, cell: str) -> str:
    if cell == "recurrent":
        return "h(0)" if index == 0 else f"node {index}"
    if cell == "cell":
        return "c(k-1)" if index == 0 else f"node {index}"
    return ("c(k-2)", "c(k-1)")[index] if index < 2 else f"node {index}"
