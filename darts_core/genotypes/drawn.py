"""Random cells: what any search has to beat. Imports no torch."""

from __future__ import annotations

import random
from collections.abc import Sequence

from darts_core.genotypes.derive import Table, derive
from darts_core.genotypes.model import Genotype
from darts_core.primitives import CNN_PRIMITIVES, edges_of


def random_genotype(seed: int, *, nodes: int = 4, primitives: Sequence[str] = CNN_PRIMITIVES) -> Genotype:
    """A cell drawn by the rule that derives one, from alphas that mean nothing.

    So every pair of edges into a node is as likely as any other, and on each every primitive but `none`.
    """
    source = random.Random(seed)  # noqa: S311 - no secret

    def table() -> Table:
        return [[source.random() for _ in primitives] for _ in range(edges_of(nodes))]

    return derive(table(), table(), primitives)
