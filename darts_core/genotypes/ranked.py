"""Finds the n-th strongest genotype of strength tables, optionally limiting skip-connections. Imports no torch.

A discretisation keeps two different incoming edges per node (one in a recurrent cell), each with one operation other
than `none`; in NAS-Bench-201 one operation on every edge, perhaps `none`. Its strength is the product of the strengths
of everything kept, over both cells. Rank 1 is the cell that the method derives, which for most is the strongest. Equal
strengths have a fixed order.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from darts_core.errors import GenotypeError
from darts_core.genotypes.derive import Table, kept_columns, strongest, strongest_recurrent
from darts_core.genotypes.diagnostics import count
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.formats import AnyGenotype
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.nasbench201 import SOURCES, NasBench201Genotype, strongest_operations
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.primitives import EdgeLists
from darts_core.spaces.nasbench201 import CELL

MOST_RANKS: Final = 100
_SKIP: Final = "skip_connect"


class _Choice(NamedTuple):
    """The kept edges of some nodes, in node order. strength: logarithm of the product of their weights."""

    strength: float
    edges: tuple[Edge, ...]


# The strongest choices for the nodes so far, strongest first, by number of skip-connections.
_Best = dict[int, list[_Choice]]


def ranked(
    strengths: Mapping[str, Table],
    primitives: Sequence[str],
    *,
    rank: int = 1,
    max_skip_connects: int | None = None,
    derived: AnyGenotype | None = None,
    lists: EdgeLists | None = None,
) -> AnyGenotype:
    """The rank-th strongest genotype of strength tables by cell kind.

    max_skip_connects: limit for the normal cell, or NAS-Bench-201's only one, as in P-DARTS and DARTS+. derived: the
    method's cell, which has rank 1 if it keeps the limit; by default the strongest. lists: the operations of each edge,
    if edges lack some. Raises GenotypeError when fewer genotypes exist, when the tables do not fit a cell, for a limit
    on a recurrent cell, and for anything but a sparse derived cell itself.
    """
    if "recurrent" in strengths:
        if max_skip_connects is not None:
            raise GenotypeError("a recurrent cell has no skip-connections to limit")
        own = strongest_recurrent(strengths["recurrent"], primitives)
        cell = derived if isinstance(derived, RecurrentGenotype) else own
        if rank == 1:
            return cell
        chosen = _nth(_cell(strengths["recurrent"], primitives, 1, rank, None, None), rank, 1, cell.recurrent)
        return RecurrentGenotype(chosen.edges, own.concat)
    if CELL in strengths:
        return _nasbench201(strengths[CELL], primitives, rank, max_skip_connects, derived)
    lists = lists or {}
    best = strongest(strengths["normal"], strengths["reduce"], primitives, lists)
    first = derived if isinstance(derived, Genotype) else best
    is_kept = max_skip_connects is None or count(first.normal, {_SKIP}) <= max_skip_connects
    if rank == 1 and is_kept:
        return first
    if first.is_sparse:
        raise GenotypeError(
            "edges of a sparse genotype are kept by a threshold: there are no other ranks, and no other cell within a "
            "limit of skip-connections"
        )
    normal = _cell(strengths["normal"], primitives, 2, rank, max_skip_connects, lists.get("normal"))
    reduce = _cell(strengths["reduce"], primitives, 2, rank, None, lists.get("reduce"))
    both = [(n, r) for n in normal.values() for r in reduce.values()]
    chosen = _nth({0: _strongest_pairs(both, rank)}, rank, 2, (*first.normal, *first.reduce) if is_kept else None)
    return Genotype(
        chosen.edges[: len(best.normal)], first.normal_concat, chosen.edges[len(best.normal) :], first.reduce_concat
    )


def _nasbench201(
    table: Table, primitives: Sequence[str], rank: int, limit: int | None, derived: AnyGenotype | None
) -> NasBench201Genotype:
    own = strongest_operations(table, primitives)
    first = derived if isinstance(derived, NasBench201Genotype) else own
    is_kept = limit is None or count(first.cell, {_SKIP}) <= limit
    if rank == 1 and is_kept:
        return first
    best: _Best = {0: [_Choice(0.0, ())]}
    for row, source in zip(table, SOURCES, strict=True):
        options = [
            _Choice(math.log(weight) if weight > 0 else -math.inf, (Edge(op, source),))
            for op, weight in zip(primitives, row, strict=True)
        ]
        choices = {int(skip): [o for o in options if (o.edges[0].op == _SKIP) == skip] for skip in (False, True)}
        best = _joined(
            best, {skips: sorted(found, key=lambda c: -c.strength) for skips, found in choices.items()}, rank, limit
        )
    return NasBench201Genotype(_nth(best, rank, 1, first.cell if is_kept else None).edges)


def _nth(best: _Best, rank: int, kept: int, first: tuple[Edge, ...] | None) -> _Choice:
    """The choice of this rank. first: the edges of rank 1; None for the strongest. kept: the number of edges a node."""
    everything: Iterable[_Choice] = heapq.merge(*best.values(), key=lambda choice: -choice.strength)
    before = rank - 1
    if first is not None:
        taken, before = _by_node(first, kept), before - 1
        everything = (choice for choice in everything if _by_node(choice.edges, kept) != taken)
    found = next(itertools.islice(everything, before, None), None)
    if found is None:
        raise GenotypeError(f"there are fewer than {rank} genotypes of these primitives within the limit")
    return found


def _by_node(edges: tuple[Edge, ...], kept: int) -> frozenset[tuple[int, Edge]]:
    return frozenset((place // kept, edge) for place, edge in enumerate(edges))


def _cell(
    table: Table,
    primitives: Sequence[str],
    kept: int,
    most: int,
    limit: int | None,
    lists: Sequence[Sequence[str]] | None,
) -> _Best:
    """The strongest choices for a whole cell, by number of skip-connections up to the limit."""
    columns = kept_columns(primitives, lists, len(table))
    best: _Best = {0: [_Choice(0.0, ())]}
    first, inputs = 0, kept
    while first < len(table):
        edges = slice(first, first + inputs)
        best = _joined(best, _node(table[edges], columns[edges], primitives, kept, most), most, limit)
        first, inputs = first + inputs, inputs + 1
    return best


def _joined(best: _Best, added: _Best, most: int, limit: int | None) -> _Best:
    """The strongest choices for the nodes so far and one more."""
    pairs: dict[int, list[tuple[list[_Choice], list[_Choice]]]] = {}
    for before, chosen in best.items():
        for more, options in added.items():
            if limit is None or before + more <= limit:
                pairs.setdefault(before + more, []).append((chosen, options))
    return {skips: _strongest_pairs(lists, most) for skips, lists in pairs.items()}


def _node(rows: Table, columns: Sequence[Sequence[int]], primitives: Sequence[str], kept: int, most: int) -> _Best:
    """The strongest choices for one node, stronger edge first, by number of skip-connections."""
    weights = [[math.log(weight) if weight > 0 else -math.inf for weight in row] for row in rows]
    found: dict[int, list[_Choice]] = {}
    for sources in itertools.combinations(range(len(rows)), kept):
        for operations in itertools.product(*(columns[source] for source in sources)):
            edges = sorted((-weights[s][k], s, k) for s, k in zip(sources, operations, strict=True))
            choice = _Choice(-math.fsum(e[0] for e in edges), tuple(Edge(primitives[k], s) for _, s, k in edges))
            found.setdefault(count(choice.edges, {_SKIP}), []).append(choice)
    # A stable sort keeps equal strengths in order of source, then operation.
    return {skips: sorted(choices, key=lambda c: -c.strength)[:most] for skips, choices in found.items()}


def _strongest_pairs(lists: Iterable[tuple[list[_Choice], list[_Choice]]], most: int) -> list[_Choice]:
    """The strongest sums of one choice from each list of a pair, over all pairs."""
    pairs = list(lists)

    def entry(pair: int, i: int, j: int) -> tuple[float, int, int, int]:
        return -(pairs[pair][0][i].strength + pairs[pair][1][j].strength), pair, i, j

    heap = [entry(pair, 0, 0) for pair, (a, b) in enumerate(pairs) if a and b]
    heapq.heapify(heap)
    found: list[_Choice] = []
    while heap and len(found) < most:
        strength, pair, i, j = heapq.heappop(heap)
        a, b = pairs[pair]
        found.append(_Choice(-strength, a[i].edges + b[j].edges))
        # Each sum is reached once: along the second list, or at its start along the first.
        if j + 1 < len(b):
            heapq.heappush(heap, entry(pair, i, j + 1))
        if j == 0 and i + 1 < len(a):
            heapq.heappush(heap, entry(pair, i + 1, 0))
    return found
