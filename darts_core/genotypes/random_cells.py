"""Draws random cells, the baseline that a search has to beat. Imports no torch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.derive import Table, derive, derive_recurrent
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.primitives import (
    CNN_PRIMITIVES,
    RNN_PRIMITIVES,
    RNN_SPACES,
    Family,
    edges_of,
    recurrent_edges_of,
)
from darts_core.spaces import SPACES

# The value of `genotype` that requests a random cell.
RANDOM: Final = "random"


def random_genotype(seed: int, *, nodes: int = 4, primitives: Sequence[str] = CNN_PRIMITIVES) -> Genotype:
    """Draw a cell by deriving it from random alphas.

    Every pair of edges into a node is equally likely, as is every primitive but `none` on each edge.
    """
    source = random.Random(seed)  # noqa: S311 - no secret
    normal, reduce = (_table(source, edges_of(nodes), len(primitives)) for _ in range(2))
    return derive(normal, reduce, primitives)


def random_recurrent_genotype(
    seed: int, *, nodes: int = 8, primitives: Sequence[str] = RNN_PRIMITIVES
) -> RecurrentGenotype:
    """Draw a recurrent cell in the same way; each of its nodes reads one state."""
    source = random.Random(seed)  # noqa: S311 - no secret
    return derive_recurrent(_table(source, recurrent_edges_of(nodes), len(primitives)), primitives)


def drawn_cell(
    family: Family, seed: int, *, nodes: int | None = None, space: str | None = None
) -> Genotype | RecurrentGenotype:
    """Draw a cell of a family. nodes, space: number of nodes and operation space; the family's defaults if omitted.

    Raises GenotypeError for an unknown space.
    """
    spaces: dict[str, Sequence[str]] = (
        {str(name): found.primitives for name, found in SPACES.items()}
        if family == "cnn"
        else {str(name): found for name, found in RNN_SPACES.items()}
    )
    primitives = spaces.get(space or ("darts" if family == "cnn" else "rnn"))
    if primitives is None:
        raise GenotypeError(f"unknown space {space!r} of family {family!r}; known: {', '.join(spaces)}")
    if family == "cnn":
        return random_genotype(seed, nodes=nodes or 4, primitives=primitives)
    return random_recurrent_genotype(seed, nodes=nodes or 8, primitives=primitives)


def _table(source: random.Random, edges: int, columns: int) -> Table:
    return [[source.random() for _ in range(columns)] for _ in range(edges)]
