"""Compares the edges, metrics and specs of jobs, without side effects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from api.compare.sides import Side, figures
from api.schemas.compare import CellRow, Comparison, EpochRow
from darts_core.genotypes import AnyGenotype, NasBench201Genotype, RecurrentGenotype
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.model import CNN_CELLS
from darts_core.spaces.nasbench201 import CELL

_CELLS = ("normal", "reduce", "recurrent", CELL)


def compare(sides: Sequence[Side]) -> Comparison:
    """Compare the jobs, in their order."""
    return Comparison(
        jobs=[figures(side) for side in sides],
        cells=list(cell_rows([side.genotype for side in sides])),
        epochs=epoch_rows(sides),
        spec=differences([side.spec for side in sides]),
    )


def cell_rows(genotypes: Sequence[AnyGenotype | None]) -> Iterator[CellRow]:
    """The kept edges of each node side by side. `same` ignores jobs without a genotype."""
    sides = [{} if genotype is None else _by_node(genotype) for genotype in genotypes]
    there = [index for index, genotype in enumerate(genotypes) if genotype is not None]
    places = sorted({place for side in sides for place in side}, key=lambda p: (_CELLS.index(p[0]), p[1]))
    for cell, node in places:
        entries = [side.get((cell, node), []) for side in sides]
        for slot in range(max(map(len, entries))):
            edges = [edges[slot] if slot < len(edges) else None for edges in entries]
            yield CellRow(cell=cell, node=node, edges=edges, same=len({edges[i] for i in there}) == 1)


def epoch_rows(sides: Sequence[Side]) -> list[EpochRow]:
    """Metrics aligned by epoch; each epoch has the names that any job reports there."""
    rows = []
    for epoch in sorted({epoch for side in sides for epoch in side.epochs}):
        found = [side.epochs.get(epoch, {}) for side in sides]
        names = dict.fromkeys(name for metrics in found for name in metrics)
        rows.append(EpochRow(epoch=epoch, metrics={name: [m.get(name) for m in found] for name in names}))
    return rows


def differences(specs: Sequence[Any]) -> dict[str, list[Any]]:
    """The fields whose values differ between the specs; a missing field counts as null."""
    names = dict.fromkeys(name for spec in specs for name in spec)
    values = {name: [spec.get(name) for spec in specs] for name in names}
    return {name: each for name, each in values.items() if len({json.dumps(v, sort_keys=True) for v in each}) > 1}


def _by_node(genotype: AnyGenotype) -> dict[tuple[str, int], list[Edge]]:
    """The edges by cell and node (numbered as states), sorted by source, since their order by strength is
    irrelevant.
    """
    found: dict[tuple[str, int], Sequence[Edge]] = {}
    if isinstance(genotype, RecurrentGenotype):
        found = {("recurrent", node): [edge] for node, edge in enumerate(genotype.recurrent, 1)}
    elif isinstance(genotype, NasBench201Genotype):
        found = {(CELL, node): edges for node, edges in enumerate(genotype.nodes(), 1)}
    else:
        for cell in CNN_CELLS:
            found |= {(cell, node): edges for node, edges in enumerate(genotype.nodes(cell), 2)}
    return {place: sorted(edges, key=lambda e: (e.source, e.op)) for place, edges in found.items()}
