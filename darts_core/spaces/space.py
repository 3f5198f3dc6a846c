"""Defines a search space. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from darts_core.primitives import EdgeLists

CnnSpace = Literal[
    "darts",
    "darts-no-none",
    "space1",
    "space2",
    "space3",
    "s1",
    "s2",
    "s3",
    "s4",
    "bench-wide",
    "bench-wide-no-skip",
    "bench-wide-all-skip",
    "bench-deep",
    "bench-deep-no-skip",
    "bench-deep-all-skip",
    "bench-single-cell",
    "bench-single-cell-no-skip",
    "bench-single-cell-all-skip",
    "nasbench201",
]

CELLS: Final = ("normal", "reduce")
"""The kinds of cells of DARTS' spaces."""


@dataclass(frozen=True)
class Space:
    """One search space, of convolutional or recurrent cells.

    primitives: the candidate operations, in the order of the alphas' columns. edges: for each kind of cell the
    operations of each edge, ordered by node and then by source; empty: all primitives on each edge. cells: the kinds of
    cells. nodes: number of intermediate nodes of a cell, where the space fixes it. inputs: number of states that the
    first node reads; each later one reads one more. outputs: number of the last nodes that a cell's output
    concatenates, by default all. edge_skips: whether each edge adds a skip-connection to its operations, also in the
    network that retrains a cell. fields: values that a search's spec takes from the space in place of its preset's.
    """

    name: str
    title: str
    source: str
    summary: str
    primitives: tuple[str, ...]
    edges: EdgeLists = field(default_factory=dict)
    cells: tuple[str, ...] = CELLS
    nodes: int | None = None
    inputs: int = 2
    outputs: int | None = None
    edge_skips: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
