"""Genotypes of NAS-Bench-201's cell (arXiv:2001.00326): an operation on each of its six edges. Imports no torch.

The benchmark writes a cell as `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`: the edges into nodes 1, 2 and 3, each with its
operation and the node that it reads. Tables of the benchmark also index a cell by six digits, one for each edge in this
order, from 0 for `none` to 4 for `avg_pool_3x3`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.entries import edges_from
from darts_core.primitives import NASBENCH201_PRIMITIVES
from darts_core.spaces.nasbench201 import CELL, NODES

# The node that each edge reads: one for node 1, two for node 2, three for node 3.
SOURCES: Final = (0, 0, 1, 0, 1, 2)
EDGE_COUNT: Final = len(SOURCES)

_STRING: Final = re.compile(r"\|(?:\w+~\d\|)+(?:\+\|(?:\w+~\d\|)+)*")
_INDEX: Final = re.compile(rf"[0-4]{{{EDGE_COUNT}}}")


@dataclass(frozen=True)
class NasBench201Genotype:
    """A cell of NAS-Bench-201: six edges, node by node. Node 0 is the input, node 3 the output; a node sums its edges.

    Raises GenotypeError on construction for an illegal edge.
    """

    cell: tuple[Edge, ...]

    def __post_init__(self) -> None:
        if len(self.cell) != EDGE_COUNT:
            raise GenotypeError(f"cell: expected {EDGE_COUNT} edges, got {len(self.cell)}")
        for i, ((op, source), expected) in enumerate(zip(self.cell, SOURCES, strict=True)):
            if op not in NASBENCH201_PRIMITIVES:
                allowed = ", ".join(NASBENCH201_PRIMITIVES)
                raise GenotypeError(f"cell[{i}]: unknown operation {op[:60]!r}; allowed: {allowed}")
            if source != expected:
                raise GenotypeError(f"cell[{i}]: edge {i} reads node {expected}, not {source}")

    def __str__(self) -> str:
        """The benchmark's string; `parse` reads it back."""
        return "+".join(f"|{'|'.join(f'{op}~{source}' for op, source in edges)}|" for edges in self.nodes())

    def nodes(self) -> tuple[tuple[Edge, ...], ...]:
        """The edges of nodes 1, 2 and 3."""
        bounds = [node * (node - 1) // 2 for node in range(1, NODES + 2)]
        return tuple(self.cell[first:end] for first, end in pairwise(bounds))

    @property
    def index(self) -> str:
        """The six digits that tables of the benchmark index this cell by."""
        return "".join(str(NASBENCH201_PRIMITIVES.index(op)) for op, _ in self.cell)

    @classmethod
    def of(cls, cell: Iterable[Sequence[Any]]) -> NasBench201Genotype:
        """Build from plain lists, as decoded from JSON. Raises GenotypeError."""
        return cls(edges_from(CELL, cell))

    @classmethod
    def of_operations(cls, operations: Iterable[str]) -> NasBench201Genotype:
        """Build from the operations of the six edges, in order. Raises GenotypeError."""
        named = tuple(operations)
        if len(named) != EDGE_COUNT:
            raise GenotypeError(f"cell: expected {EDGE_COUNT} edges, got {len(named)}")
        return cls(tuple(Edge(op, source) for op, source in zip(named, SOURCES, strict=True)))

    @classmethod
    def of_index(cls, digits: str) -> NasBench201Genotype:
        """Build from six digits. Raises GenotypeError."""
        if not is_index(digits):
            raise GenotypeError(f"{digits[:60]!r} is not an index of NAS-Bench-201: six digits from 0 to 4")
        return cls.of_operations(NASBENCH201_PRIMITIVES[int(digit)] for digit in digits)

    @classmethod
    def of_string(cls, text: str) -> NasBench201Genotype:
        """Build from the benchmark's string, perhaps inside another text. Raises GenotypeError."""
        found = list(dict.fromkeys(_STRING.findall(text)))
        if len(found) != 1:
            raise GenotypeError(
                f"this text holds {len(found)} different cells of NAS-Bench-201: give one alone" if found else _SHAPE
            )
        nodes = [node.strip("|").split("|") for node in found[0].split("+")]
        if [len(node) for node in nodes] != list(range(1, NODES + 1)):
            raise GenotypeError(_SHAPE)
        edges = [edge.rpartition("~") for node in nodes for edge in node]
        return cls(tuple(Edge(op, int(source)) for op, _, source in edges))


_SHAPE: Final = "a cell of NAS-Bench-201 is written |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


def is_index(text: str) -> bool:
    """Whether a text is six digits from 0 to 4."""
    return _INDEX.fullmatch(text) is not None


def is_string(text: str) -> bool:
    """Whether a text holds a cell in the benchmark's notation."""
    return _STRING.search(text) is not None


def is_nasbench201(text: str) -> bool:
    """Whether a text is a cell of NAS-Bench-201 and nothing else: its string or its six digits."""
    return is_index(text) or _STRING.fullmatch(text) is not None


def is_mapping(value: Mapping[Any, Any]) -> bool:
    """Whether a decoded object has the field of such a genotype."""
    return CELL in value


def strongest_operations(table: Sequence[Sequence[float]], primitives: Sequence[str]) -> NasBench201Genotype:
    """Keep the strongest operation of each edge, `none` included; ties go to the lowest index.

    table: one row per edge, one column per primitive. Raises GenotypeError when it does not fit the cell.
    """
    if len(table) != EDGE_COUNT:
        raise GenotypeError(f"a cell of NAS-Bench-201 has {EDGE_COUNT} edges, not {len(table)}")
    return NasBench201Genotype.of_operations(
        primitives[max(range(len(primitives)), key=lambda k: (row[k], -k))] for row in table
    )


def random_nasbench201(seed: int) -> NasBench201Genotype:
    """Draw one of the 15,625 cells, all equally likely."""
    source = random.Random(seed)  # noqa: S311 - no secret
    return NasBench201Genotype.of_operations(source.choice(NASBENCH201_PRIMITIVES) for _ in SOURCES)
