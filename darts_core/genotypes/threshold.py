"""Derives a sparse genotype, whose edges are kept by a threshold of their strength. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from darts_core.genotypes.derive import Table, strongest
from darts_core.genotypes.edges import PlacedEdge
from darts_core.genotypes.model import CnnCell, Genotype
from darts_core.primitives import EdgeLists, edges_of


def strongest_above(
    normal: Table, reduce: Table, primitives: Sequence[str], threshold: float, lists: EdgeLists | None = None
) -> Genotype:
    """Derive the discrete cell from a pair of strength tables by the rule of FairDARTS.

    Of a node's two strongest edges, found as `strongest` does, those are kept whose strength is at least the threshold.
    FairDARTS (arXiv:1911.12126), `threshold_sparse` of the authors' code. In theirs a cell may lose all edges, or all
    that read its inputs; here the strongest of these edges that reads an input is always kept. Raises GenotypeError as
    `derive` does.
    """
    dense = strongest(normal, reduce, primitives, lists)
    return Genotype(
        _kept(dense, "normal", normal, primitives, threshold),
        dense.normal_concat,
        _kept(dense, "reduce", reduce, primitives, threshold),
        dense.reduce_concat,
    )


def _kept(
    dense: Genotype, cell: CnnCell, table: Table, primitives: Sequence[str], threshold: float
) -> tuple[PlacedEdge, ...]:
    weighed = [
        (table[edges_of(node - 2) + edge.source][primitives.index(edge.op)], PlacedEdge(edge.op, node, edge.source))
        for node, edges in enumerate(dense.nodes(cell), 2)
        for edge in edges
    ]
    _, always = max((entry for entry in weighed if entry[1].source < 2), key=lambda entry: entry[0])
    return tuple(edge for weight, edge in weighed if weight >= threshold or edge == always)
