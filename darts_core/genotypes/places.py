"""Finds the edges of a genotype's network among those of the supernet. Imports no torch."""

from __future__ import annotations

from typing import NamedTuple

from darts_core.genotypes.model import CNN_CELLS, Genotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype
from darts_core.primitives import edges_of
from darts_core.spaces.nasbench201 import CELL


class Place(NamedTuple):
    """A kept operation, and the number of its edge in a cell of the supernet, whose nodes read all earlier states."""

    op: str
    edge: int


def places_of(cell: Genotype | NasBench201Genotype) -> dict[str, list[Place]]:
    """By kind of cell the edges that the genotype's network computes, in its order."""
    if isinstance(cell, NasBench201Genotype):
        return {CELL: [Place(op, edge) for edge, (op, _) in enumerate(cell.cell)]}
    return {
        kind: [
            Place(op, edges_of(node) + source)
            for node, edges in enumerate(cell.built(kind).nodes)
            for op, source in edges
        ]
        for kind in CNN_CELLS
    }
