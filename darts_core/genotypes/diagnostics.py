"""Signs of a search that collapses: a cell of operations without parameters, alphas that stay or fall undecided.

Many skip-connections in the derived normal cell are the known way in which DARTS fails: DARTS+ (arXiv:1909.06035) and
RobustDARTS (arXiv:1909.09656). Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from darts_core.genotypes.derive import Table, softmax
from darts_core.genotypes.formats import AnyGenotype
from darts_core.genotypes.model import Edge
from darts_core.genotypes.recurrent import RecurrentGenotype

# In the evaluation network a skip-connection of stride 2 has parameters, too; it counts by what it is for.
PARAMETER_FREE: Final = frozenset({"max_pool_3x3", "avg_pool_3x3", "skip_connect"})


def cell_diagnostics(genotype: AnyGenotype, alphas: Mapping[str, Table]) -> dict[str, float]:
    """What an epoch of a search reports of its cell and its alphas (raw tables, by the kind of cell).

    Of the normal cell `skip_connects`, `parameter_free` (how many such operations the derived cell has) and
    `alpha_entropy` (nats); the same of the reduction cell with `reduce_` before the name. Of a recurrent cell
    `identities` and `alpha_entropy`.
    """
    if isinstance(genotype, RecurrentGenotype):
        return {
            "identities": float(count(genotype.recurrent, {"identity"})),
            "alpha_entropy": entropy(alphas["recurrent"]),
        }
    found: dict[str, float] = {}
    for prefix, cell, edges in (("", "normal", genotype.normal), ("reduce_", "reduce", genotype.reduce)):
        found |= {
            f"{prefix}skip_connects": float(count(edges, {"skip_connect"})),
            f"{prefix}parameter_free": float(count(edges, PARAMETER_FREE)),
            f"{prefix}alpha_entropy": entropy(alphas[cell]),
        }
    return found


def count(edges: Iterable[Edge], operations: Iterable[str]) -> int:
    """How many of a cell's kept edges carry one of these operations."""
    wanted = frozenset(operations)
    return sum(edge.op in wanted for edge in edges)


def entropy(table: Table) -> float:
    """Mean over the edges of the entropy of their softmaxed alphas, in nats.

    ln(primitives) while nothing is decided, 0 when everything is.
    """
    rows = [-math.fsum(w * math.log(w) for w in softmax(row) if w > 0) for row in table]
    # Rounding must not leave less than nothing, nor minus zero.
    return max(0.0, math.fsum(rows) / len(rows)) + 0.0
