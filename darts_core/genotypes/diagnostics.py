"""Measures signs of a collapsing search: cells that compute little, and how far the alphas have decided.

Many skip-connections in the derived normal cell are the known failure of DARTS: DARTS+ (arXiv:1909.06035) and
RobustDARTS (arXiv:1909.09656). Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from darts_core.genotypes.derive import Table
from darts_core.genotypes.edges import Edge, Edges, PlacedEdge
from darts_core.genotypes.formats import AnyGenotype, ConvolutionalGenotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.spaces.nasbench201 import CELL

IDLE: Final = frozenset({"skip_connect", "noise"})
# A skip-connection of stride 2 has parameters in the evaluation network; it counts as parameter-free all the same.
PARAMETER_FREE: Final = frozenset({"max_pool_3x3", "avg_pool_3x3", "skip_connect", "noise"})


def cell_diagnostics(genotype: AnyGenotype, strengths: Mapping[str, Table]) -> dict[str, float]:
    """Diagnostics of one search epoch, from tables of operation strengths by cell kind.

    For the normal cell `skip_connects`, `parameter_free` (the number of such operations in the derived cell) and
    `alpha_entropy` (nats); for the reduction cell the same with the prefix `reduce_`. For a recurrent cell `identities`
    and `alpha_entropy`; for a cell of NAS-Bench-201 the names of a normal cell.
    """
    if isinstance(genotype, RecurrentGenotype):
        return {
            "identities": float(count(genotype.recurrent, {"identity"})),
            "alpha_entropy": entropy(strengths["recurrent"]),
        }
    found: dict[str, float] = {}
    parts: list[tuple[str, str, Edges]] = (
        [("", CELL, genotype.cell)]
        if isinstance(genotype, NasBench201Genotype)
        else [("", "normal", genotype.normal), ("reduce_", "reduce", genotype.reduce)]
    )
    for prefix, cell, edges in parts:
        found |= {
            f"{prefix}skip_connects": float(count(edges, {"skip_connect"})),
            f"{prefix}parameter_free": float(count(edges, PARAMETER_FREE)),
            f"{prefix}alpha_entropy": entropy(strengths[cell]),
        }
    return found


def collapse_signs(
    genotype: ConvolutionalGenotype, strengths: Mapping[str, Table], primitives: Sequence[str]
) -> dict[str, float]:
    """Signs of a collapse, from tables of operation strengths by cell kind.

    `idle_share`: share of the normal cell's edges that are skip-connections or `noise`. `noise_edges`: edges of all
    cells that are `noise`, if that is a primitive. Of the normal cell's alphas, means over the edges: `certainty`, 0
    while all operations of an edge are alike and 1 when it has one; `decision_margin`, how much larger a share of the
    edge's strength the strongest operation has than the next one that the cell could keep.
    """
    kind, normal, every = _cells(genotype)
    table, noise = strengths[kind], count(every, {"noise"})
    kept = [place for place, name in enumerate(primitives) if name != "none" or kind == CELL]
    most = math.fsum(math.log(sum(w > 0 for w in row)) for row in table)
    found = {
        "idle_share": count(normal, IDLE) / len(normal),
        "certainty": 1 - entropy(table) * len(table) / most if most else 0.0,
        "decision_margin": math.fsum(_margin([_shares(row)[place] for place in kept]) for row in table) / len(table),
    }
    return found | ({"noise_edges": float(noise)} if "noise" in primitives else {})


def is_collapsed(genotype: ConvolutionalGenotype) -> bool:
    """Whether more than half of the normal cell's edges are skip-connections, or any edge of a cell is `noise`."""
    _, normal, every = _cells(genotype)
    return count(normal, {"skip_connect"}) > len(normal) / 2 or count(every, {"noise"}) > 0


def _cells(genotype: ConvolutionalGenotype) -> tuple[str, Edges, list[Edge | PlacedEdge]]:
    """The kind of the normal cell, its edges, and those of all cells."""
    if isinstance(genotype, NasBench201Genotype):
        return CELL, genotype.cell, list(genotype.cell)
    return "normal", genotype.normal, [*genotype.normal, *genotype.reduce]


def _margin(shares: Sequence[float]) -> float:
    first, second = sorted([0.0, *shares], reverse=True)[:2]
    return first - second


def count(edges: Iterable[Edge | PlacedEdge], operations: Iterable[str]) -> int:
    """Count the kept edges with one of these operations."""
    wanted = frozenset(operations)
    return sum(edge.op in wanted for edge in edges)


def entropy(table: Table) -> float:
    """Mean entropy, in nats, of each edge's shares of strength: from 0 (decided) to ln(primitives) (undecided)."""
    rows = [-math.fsum(w * math.log(w) for w in _shares(row) if w > 0) for row in table]
    # Rounding may give a tiny negative number or minus zero.
    return max(0.0, math.fsum(rows) / len(rows)) + 0.0


def _shares(row: Sequence[float]) -> list[float]:
    total = math.fsum(row)
    return list(row) if total in (0, 1) else [strength / total for strength in row]
