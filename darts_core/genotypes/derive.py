"""Derives a genotype from alphas or operation strengths. Imports no torch: a table is a list of rows, one per edge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.entries import MOST_NODES
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype, strongest_operations
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.primitives import EdgeLists, edges_of, recurrent_edges_of

Table = Sequence[Sequence[float]]
Strengths = dict[str, list[list[float]]]
"""The expected weights of all operations, by kind of cell: one row per edge, one column per primitive."""
EDGES: Final = "_edges"
"""Ends the name of a table of alphas that weighs a cell's edges; such a table has no operation strengths."""


def derive(normal: Table, reduce: Table, primitives: Sequence[str], lists: EdgeLists | None = None) -> Genotype:
    """Derive the discrete cell from a pair of raw alpha tables.

    normal, reduce: one row per edge (edges into node i follow those into node i-1), one column per primitive. Each node
    keeps its two incoming edges with the largest non-`none` weight, strongest first, each with its best non-`none`
    operation; ties go to the lowest index. DARTS (arXiv:1806.09055), section 2.4. lists: the operations of each edge,
    if edges lack some; the others have weight 0 and are never kept. Raises GenotypeError when the tables do not fit a
    cell or contain a non-finite number.
    """
    lists = lists or {}
    weights = [_weights(table, primitives, lists.get(kind)) for kind, table in (("normal", normal), ("reduce", reduce))]
    return strongest(weights[0], weights[1], primitives, lists)


def strongest(normal: Table, reduce: Table, primitives: Sequence[str], lists: EdgeLists | None = None) -> Genotype:
    """Derive the discrete cell from a pair of strength tables, as `derive` does from alphas. Raises GenotypeError."""
    for table in (normal, reduce):
        _check(table, primitives, "strengths")
    nodes = _nodes_of(len(normal))
    _nodes_of(len(reduce))
    concat = tuple(range(2, 2 + nodes))
    lists = lists or {}
    return Genotype(
        _cell(normal, kept_columns(primitives, lists.get("normal"), len(normal)), primitives),
        concat,
        _cell(reduce, kept_columns(primitives, lists.get("reduce"), len(reduce)), primitives),
        concat,
    )


def strongest_pairs(
    normal: Table, reduce: Table, primitives: Sequence[str], lists: EdgeLists | None = None
) -> Genotype:
    """Derive the discrete cell from a pair of strength tables by the rule of GDAS.

    Each node keeps its two strongest pairs of an edge and a non-`none` operation, which may lie on the same edge. Ties
    go to the lowest edge, then to the lowest operation. GDAS (arXiv:1910.04465), the authors' code. Raises
    GenotypeError as `derive` does.
    """
    for table in (normal, reduce):
        _check(table, primitives, "strengths")
    nodes = _nodes_of(len(normal))
    _nodes_of(len(reduce))
    concat = tuple(range(2, 2 + nodes))
    lists = lists or {}
    return Genotype(
        _pairs(normal, kept_columns(primitives, lists.get("normal"), len(normal)), primitives),
        concat,
        _pairs(reduce, kept_columns(primitives, lists.get("reduce"), len(reduce)), primitives),
        concat,
    )


def derive_nasbench201(
    table: Table, primitives: Sequence[str], lists: Sequence[Sequence[str]] | None = None
) -> NasBench201Genotype:
    """Derive a cell of NAS-Bench-201 from a raw alpha table: the strongest operation of each edge, `none` included.

    table: one row per edge, one column per primitive. lists: the operations of each edge, if edges lack some. Ties go
    to the lowest index. Raises GenotypeError as `derive` does.
    """
    return strongest_operations(_weights(table, primitives, lists), primitives)


def derive_recurrent(table: Table, primitives: Sequence[str]) -> RecurrentGenotype:
    """Derive the discrete recurrent cell from a raw alpha table.

    table: one row per edge (edges into node i follow those into node i-1), one column per primitive. Each node keeps
    the predecessor and non-`none` operation of largest weight; ties go to the lowest index. The output is the mean of
    all nodes. Raises GenotypeError as `derive` does.
    """
    return strongest_recurrent(_weights(table, primitives), primitives)


def strongest_recurrent(table: Table, primitives: Sequence[str]) -> RecurrentGenotype:
    """Derive the discrete recurrent cell from a strength table, as `derive_recurrent` does. Raises GenotypeError."""
    _check(table, primitives, "strengths")
    nodes = next((n for n in range(1, MOST_NODES + 1) if recurrent_edges_of(n) == len(table)), None)
    if nodes is None:
        raise GenotypeError(f"no recurrent cell has {len(table)} edges; one of 8 nodes has {recurrent_edges_of(8)}")
    edges: list[Edge] = []
    for node in range(nodes):
        first = recurrent_edges_of(node)
        rows = table[first : first + 1 + node]
        edges += _strongest(rows, kept_columns(primitives, None, len(rows)), primitives)[:1]
    return RecurrentGenotype(tuple(edges), tuple(range(1, nodes + 1)))


def softmax(row: Sequence[float]) -> list[float]:
    """Softmax over one edge's operations, independent of column order: permuted rows give equal weights."""
    # A database returns whole numbers as int, and the difference of two huge ints overflows float.
    values = [float(a) for a in row]
    top = max(values)
    powers = [math.exp(a - top) for a in values]
    total = math.fsum(powers)  # rounded once, so that the column order decides no tie
    return [p / total for p in powers]


def softmaxed(tables: Mapping[str, Table]) -> Strengths:
    """The softmax of each row: the operation strengths of DARTS."""
    return {cell: [softmax(row) for row in table] for cell, table in tables.items()}


def strengths_of(alphas: Mapping[str, Table] | None, strengths: Strengths | None) -> Strengths | None:
    """The operation strengths of an epoch as stored; those of DARTS for one of a version that stored alphas alone."""
    if strengths is not None or alphas is None:
        return strengths
    return softmaxed({cell: table for cell, table in alphas.items() if not cell.endswith(EDGES)})


def kept_columns(primitives: Sequence[str], lists: Sequence[Sequence[str]] | None, edges: int) -> list[list[int]]:
    """For each edge the columns of the operations that a cell may keep: those of its list but `none`."""
    if lists is not None and len(lists) != edges:
        raise GenotypeError(f"expected the operations of {edges} edges, got those of {len(lists)}")
    return [
        [k for k, name in enumerate(primitives) if name != "none" and (lists is None or name in lists[edge])]
        for edge in range(edges)
    ]


def _weights(table: Table, primitives: Sequence[str], lists: Sequence[Sequence[str]] | None = None) -> Table:
    _check(table, primitives, "alphas")
    if lists is None:
        return [softmax(row) for row in table]
    return [
        softmax([alpha if name in listed else -math.inf for alpha, name in zip(row, primitives, strict=True)])
        for row, listed in zip(table, lists, strict=True)
    ]


def _check(table: Table, primitives: Sequence[str], numbers: str) -> None:
    for edge, row in enumerate(table):
        if len(row) != len(primitives) or not all(map(math.isfinite, row)):
            raise GenotypeError(f"edge {edge}: expected {len(primitives)} finite {numbers}, got {list(row)}")


def _nodes_of(edges: int) -> int:
    for nodes in range(1, 13):
        if edges_of(nodes) == edges:
            return nodes
    raise GenotypeError(f"no cell has {edges} edges; a cell of 4 nodes has {edges_of(4)}")


def _cell(table: Table, columns: Sequence[Sequence[int]], primitives: Sequence[str]) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    first, sources = 0, 2
    while first < len(table):
        node = slice(first, first + sources)
        edges += _strongest(table[node], columns[node], primitives)[:2]
        first, sources = first + sources, sources + 1
    return tuple(edges)


def _pairs(table: Table, columns: Sequence[Sequence[int]], primitives: Sequence[str]) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    first, sources = 0, 2
    while first < len(table):
        ranked: list[tuple[float, int, int]] = []
        for source in range(sources):
            row = table[first + source]
            ranked += [(-row[k], source, k) for k in columns[first + source]]
        edges += [Edge(primitives[op], source) for _, source, op in sorted(ranked)[:2]]
        first, sources = first + sources, sources + 1
    return tuple(edges)


def _strongest(rows: Table, columns: Sequence[Sequence[int]], primitives: Sequence[str]) -> list[Edge]:
    """All edges into one node, each with its best operation of these columns, strongest first."""
    best: list[tuple[float, int, int]] = []
    for source, (weights, allowed) in enumerate(zip(rows, columns, strict=True)):
        op = max(allowed, key=lambda k: (weights[k], -k))
        best.append((-weights[op], source, op))
    # Sorting by (-weight, source) breaks ties by the lowest source.
    return [Edge(primitives[op], source) for _, source, op in sorted(best)]
