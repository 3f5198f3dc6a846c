"""Derives a genotype from alphas. Imports no torch: an alpha table is a list of rows, one per edge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from darts_core.errors import GenotypeError
from darts_core.genotypes.model import MOST_NODES, Edge, Genotype
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.primitives import edges_of, recurrent_edges_of

Table = Sequence[Sequence[float]]


def derive(normal: Table, reduce: Table, primitives: Sequence[str]) -> Genotype:
    """Derive the discrete cell from a pair of raw alpha tables.

    normal, reduce: one row per edge (edges into node i follow those into node i-1), one column per primitive. Each node
    keeps its two incoming edges with the largest non-`none` weight, strongest first, each with its best non-`none`
    operation; ties go to the lowest index. DARTS (arXiv:1806.09055), section 2.4. Raises GenotypeError when the tables
    do not fit a cell or contain a non-finite number.
    """
    return strongest(_softmaxed(normal, primitives), _softmaxed(reduce, primitives), primitives)


def strongest(normal: Table, reduce: Table, primitives: Sequence[str]) -> Genotype:
    """Derive the discrete cell from a pair of tables of strengths by the same rule. Raises GenotypeError likewise."""
    nodes = _nodes_of(len(normal))
    concat = tuple(range(2, 2 + nodes))
    return Genotype(_cell(normal, primitives, nodes), concat, _cell(reduce, primitives, _nodes_of(len(reduce))), concat)


def strongest_pairs(normal: Table, reduce: Table, primitives: Sequence[str]) -> Genotype:
    """Derive the discrete cell from a pair of tables of strengths: each node keeps its two strongest pairs of an edge
    and a non-`none` operation, perhaps on the same edge. Ties go to the lowest edge, then to the lowest operation.

    GDAS (arXiv:1910.04465), the authors' code. Raises GenotypeError as `derive` does.
    """
    nodes = _nodes_of(len(normal))
    _nodes_of(len(reduce))
    concat = tuple(range(2, 2 + nodes))
    return Genotype(_pairs(normal, primitives), concat, _pairs(reduce, primitives), concat)


def derive_recurrent(table: Table, primitives: Sequence[str]) -> RecurrentGenotype:
    """Derive the discrete recurrent cell from a raw alpha table.

    table: one row per edge (edges into node i follow those into node i-1), one column per primitive. Each node keeps
    the predecessor and non-`none` operation of largest weight; ties go to the lowest index. The output is the mean of
    all nodes. Raises GenotypeError as `derive` does.
    """
    nodes = next((n for n in range(1, MOST_NODES + 1) if recurrent_edges_of(n) == len(table)), None)
    if nodes is None:
        raise GenotypeError(f"no recurrent cell has {len(table)} edges; one of 8 nodes has {recurrent_edges_of(8)}")
    edges: list[Edge] = []
    table = _softmaxed(table, primitives)
    for node in range(nodes):
        first = recurrent_edges_of(node)
        edges += _strongest(table[first : first + 1 + node], first, primitives)[:1]
    return RecurrentGenotype(tuple(edges), tuple(range(1, nodes + 1)))


def softmax(row: Sequence[float]) -> list[float]:
    """Softmax over one edge's operations, independent of column order: permuted rows give equal weights."""
    # A database returns whole numbers as int, and the difference of two huge ints overflows float.
    values = [float(a) for a in row]
    top = max(values)
    powers = [math.exp(a - top) for a in values]
    total = math.fsum(powers)  # rounded once, so that the column order decides no tie
    return [p / total for p in powers]


def softmaxed(tables: Mapping[str, Table]) -> dict[str, list[list[float]]]:
    """The softmax of each row: the operation strengths of DARTS."""
    return {cell: [softmax(row) for row in table] for cell, table in tables.items()}


def _nodes_of(edges: int) -> int:
    for nodes in range(1, 13):
        if edges_of(nodes) == edges:
            return nodes
    raise GenotypeError(f"no cell has {edges} edges; a cell of 4 nodes has {edges_of(4)}")


def _cell(table: Table, primitives: Sequence[str], nodes: int) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    first = 0
    for node in range(nodes):
        edges += _strongest(table[first : first + 2 + node], first, primitives)[:2]
        first += 2 + node
    return tuple(edges)


def _pairs(table: Table, primitives: Sequence[str]) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    first, sources = 0, 2
    while first < len(table):
        ranked: list[tuple[float, int, int]] = []
        for source, row in enumerate(table[first : first + sources]):
            _check_row(row, first + source, primitives)
            ranked += [(-row[k], source, k) for k, name in enumerate(primitives) if name != "none"]
        edges += [Edge(primitives[op], source) for _, source, op in sorted(ranked)[:2]]
        first, sources = first + sources, sources + 1
    return tuple(edges)


def _strongest(rows: Table, first: int, primitives: Sequence[str]) -> list[Edge]:
    """All edges into one node, each with its best operation, strongest first. first: row of the node's first edge."""
    allowed = [k for k, name in enumerate(primitives) if name != "none"]
    best: list[tuple[float, int, int]] = []
    for source, row in enumerate(rows):
        _check_row(row, first + source, primitives)
        op = max(allowed, key=lambda k: (row[k], -k))
        best.append((-row[op], source, op))
    # Sorting by (-weight, source) breaks ties by the lowest source.
    return [Edge(primitives[op], source) for _, source, op in sorted(best)]


def _softmaxed(table: Table, primitives: Sequence[str]) -> Table:
    for edge, row in enumerate(table):
        _check_row(row, edge, primitives)
    return [softmax(row) for row in table]


def _check_row(row: Sequence[float], edge: int, primitives: Sequence[str]) -> None:
    if len(row) != len(primitives) or not all(map(math.isfinite, row)):
        raise GenotypeError(f"edge {edge}: expected {len(primitives)} finite alphas, got {list(row)}")
