"""From alphas to a genotype. Imports no torch: a table of alphas is a list of rows, one an edge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from darts_core.errors import GenotypeError
from darts_core.genotypes.model import Edge, Genotype
from darts_core.primitives import edges_of

Table = Sequence[Sequence[float]]


def derive(normal: Table, reduce: Table, primitives: Sequence[str]) -> Genotype:
    """The discrete cell that a pair of raw alpha tables stands for.

    normal, reduce: one row an edge (edges into node i follow those into node i-1), one column a primitive. For each
    node the two incoming edges whose best non-`none` weight is largest, strongest first; on each its best non-`none`
    operation; ties go to the lowest index. DARTS (arXiv:1806.09055), section 2.4. Raises GenotypeError when the
    tables do not fit a cell, or a weight is not a number.
    """
    nodes = _nodes_of(len(normal))
    concat = tuple(range(2, 2 + nodes))
    return Genotype(_cell(normal, primitives, nodes), concat, _cell(reduce, primitives, _nodes_of(len(reduce))), concat)


def softmax(row: Sequence[float]) -> list[float]:
    """Weights of one edge's operations; they sum to 1."""
    top = max(row)
    powers = [math.exp(a - top) for a in row]
    total = sum(powers)
    return [p / total for p in powers]


def _nodes_of(edges: int) -> int:
    for nodes in range(1, 13):
        if edges_of(nodes) == edges:
            return nodes
    raise GenotypeError(f"no cell has {edges} edges; a cell of 4 nodes has {edges_of(4)}")


def _cell(table: Table, primitives: Sequence[str], nodes: int) -> tuple[Edge, ...]:
    allowed = [k for k, name in enumerate(primitives) if name != "none"]
    edges: list[Edge] = []
    first = 0
    for node in range(nodes):
        best: list[tuple[float, int, int]] = []
        for source, row in enumerate(table[first : first + 2 + node]):
            if len(row) != len(primitives) or not all(map(math.isfinite, row)):
                raise GenotypeError(f"edge {first + source}: expected {len(primitives)} finite alphas, got {list(row)}")
            weights = softmax(row)
            op = max(allowed, key=lambda k: (weights[k], -k))
            best.append((-weights[op], source, op))
        # Sorting by (-weight, source) puts the stronger edge first and breaks ties by the lowest source.
        edges += [Edge(primitives[op], source) for _, source, op in sorted(best)[:2]]
        first += 2 + node
    return tuple(edges)
