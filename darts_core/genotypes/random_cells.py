"""Draws random cells, the baseline that a search has to beat. Imports no torch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, cast

from darts_core.errors import GenotypeError
from darts_core.genotypes.derive import Table, derive, derive_recurrent
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype, random_nasbench201
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.primitives import (
    CNN_PRIMITIVES,
    RNN_PRIMITIVES,
    RNN_SPACES,
    EdgeLists,
    Family,
    RnnSpace,
    edges_of,
    recurrent_edges_of,
)
from darts_core.spaces import SPACES, CnnSpace
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

# The value of `genotype` that requests a random cell.
RANDOM: Final = "random"


def random_genotype(
    seed: int, *, nodes: int = 4, primitives: Sequence[str] = CNN_PRIMITIVES, lists: EdgeLists | None = None
) -> Genotype:
    """Draw a cell by deriving it from random alphas.

    Every primitive but `none` is equally likely on an edge, and every pair of edges into a node where all edges have
    the same operations. lists: the operations of each edge, if edges lack some.
    """
    source = random.Random(seed)  # noqa: S311 - no secret
    normal, reduce = (_table(source, edges_of(nodes), len(primitives)) for _ in range(2))
    return derive(normal, reduce, primitives, lists)


def random_recurrent_genotype(
    seed: int, *, nodes: int = 8, primitives: Sequence[str] = RNN_PRIMITIVES
) -> RecurrentGenotype:
    """Draw a recurrent cell in the same way; each of its nodes reads one state."""
    source = random.Random(seed)  # noqa: S311 - no secret
    return derive_recurrent(_table(source, recurrent_edges_of(nodes), len(primitives)), primitives)


def drawn_cell(
    family: Family, seed: int, *, nodes: int | None = None, space: str | None = None
) -> Genotype | NasBench201Genotype | RecurrentGenotype:
    """Draw a cell of a family. nodes, space: number of nodes and operation space; the family's defaults if omitted.

    Raises GenotypeError for an unknown space, and for another number of nodes than that of the space.
    """
    known = SPACES if family == "cnn" else RNN_SPACES
    name = space or ("darts" if family == "cnn" else "rnn")
    if name not in known:
        raise GenotypeError(f"unknown space {space!r} of family {family!r}; known: {', '.join(known)}")
    if family == "rnn":
        return random_recurrent_genotype(seed, nodes=nodes or 8, primitives=RNN_SPACES[cast(RnnSpace, name)])
    found = SPACES[cast(CnnSpace, name)]
    if found.nodes is not None and nodes not in (None, found.nodes):
        raise GenotypeError(f"a cell of space {name!r} has {found.nodes} nodes, not {nodes}")
    if found.name == NASBENCH201:
        return random_nasbench201(seed)
    nodes = found.nodes or nodes or 4
    cell = random_genotype(seed, nodes=nodes, primitives=found.primitives, lists=found.edges)
    return cell.with_outputs(found.outputs or nodes)


def _table(source: random.Random, edges: int, columns: int) -> Table:
    return [[source.random() for _ in range(columns)] for _ in range(edges)]
