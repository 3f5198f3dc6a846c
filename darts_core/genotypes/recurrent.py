"""Genotypes of recurrent cells: the predecessor and the activation of each node.

DARTS (arXiv:1806.09055), section 3.1.2. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from darts_core.errors import GenotypeError
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.entries import MOST_NODES, edges_from, nodes_from
from darts_core.genotypes.model import pairs
from darts_core.primitives import RNN_PRIMITIVES

# Field names in every format that spells them out, in the order of `RecurrentGenotype`.
RECURRENT_FIELDS = ("recurrent", "concat")
OPERATIONS = frozenset(RNN_PRIMITIVES) - {"none"}


@dataclass(frozen=True)
class RecurrentGenotype:
    """A recurrent architecture: one edge per node, and the nodes whose mean is the cell's output.

    State 0 is the initial one (from the word and the previous output), states 1.. are the nodes: entry i belongs to
    node i + 1 and reads one of the states 0..i. Raises GenotypeError on construction for an illegal entry.
    """

    recurrent: tuple[Edge, ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.recurrent) <= MOST_NODES:
            raise GenotypeError(
                f"recurrent: expected one entry for each of 1 to {MOST_NODES} nodes, got {len(self.recurrent)} entries"
            )
        for i, (op, source) in enumerate(self.recurrent):
            if op not in OPERATIONS:
                allowed = ", ".join(sorted(OPERATIONS))
                raise GenotypeError(f"recurrent[{i}]: unknown operation {op!r}; allowed: {allowed}")
            if not 0 <= source <= i:
                raise GenotypeError(
                    f"recurrent[{i}]: node {i + 1} can only read states 0 to {i}, not {source}: edges lead forward"
                )
        last = len(self.recurrent)
        if (
            not self.concat
            or len(set(self.concat)) != len(self.concat)
            or not all(1 <= node <= last for node in self.concat)
        ):
            raise GenotypeError(f"concat: expected different nodes from 1 to {last}, got {list(self.concat)}")

    def __str__(self) -> str:
        """One line of Python in the DARTS authors' format; `parse` reads it back."""
        return f"Genotype(recurrent={pairs(self.recurrent)}, concat={list(self.concat)})"

    @classmethod
    def of(cls, recurrent: Iterable[Sequence[Any]], concat: Iterable[int]) -> RecurrentGenotype:
        """Build from plain lists, as decoded from JSON or Python text. Raises GenotypeError."""
        return cls(edges_from("recurrent", recurrent), nodes_from("concat", concat))
