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
    first node reads; each later one reads one more. fields: values that a search's spec takes from the space in place
    of its preset's.
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
    fields: Mapping[str, Any] = field(default_factory=dict)
