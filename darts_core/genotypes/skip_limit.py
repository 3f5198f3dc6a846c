"""Limits the skip-connections of a derived cell: P-DARTS (arXiv:1904.12760), section 3.3.2. Imports no torch."""

from __future__ import annotations

from darts_core.genotypes.derive import Table, strongest
from darts_core.genotypes.edges import placed
from darts_core.genotypes.model import Genotype
from darts_core.primitives import EdgeLists, edges_of

_SKIP = "skip_connect"


def with_fewer_skips(
    normal: Table, reduce: Table, primitives: tuple[str, ...], most: int, lists: EdgeLists | None = None
) -> Genotype:
    """Derive the discrete cell from strength tables, with at most so many skip-connections in the normal cell.

    While there are more, the weakest of those present gets strength 0 and the cell is derived anew. An edge without any
    other operation may keep its skip-connection all the same. lists: the operations of each edge, if edges lack some.
    Raises GenotypeError as `strongest` does.
    """
    rows = [list(row) for row in normal]
    zeroed: set[int] = set()
    while True:
        found = strongest(rows, reduce, primitives, lists)
        skips = [edges_of(edge.node - 2) + edge.source for edge in placed(found.normal) if edge.op == _SKIP]
        open_ones = [edge for edge in skips if edge not in zeroed]
        if len(skips) <= most or not open_ones:
            return found
        column = primitives.index(_SKIP)
        weakest = min(open_ones, key=lambda edge: (rows[edge][column], edge))
        rows[weakest][column] = 0.0
        zeroed.add(weakest)
