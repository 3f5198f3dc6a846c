"""Compares the computed parameters of all networks of NAS-Bench-201 with its table."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.oracle.table import OracleTable
from darts_core.genotypes import NasBench201Genotype
from darts_core.profile import profile, shape_of


@dataclass(frozen=True)
class SizeCheck:
    """cells: how many were compared. agreeing: whose parameters equal an entry of the table, to the last digit.

    first_off: whose first entry differs, the benchmark's own mistake.
    """

    cells: int
    agreeing: int
    first_off: int


def check_sizes(table: OracleTable) -> SizeCheck:
    """Compare the parameters of every cell's network (16 channels, 15 cells, 10 classes)."""
    shape, agreeing, first_off = shape_of("nasbench201"), 0, 0
    for index in table.indices:
        cell = NasBench201Genotype.of_index(index)
        parameters, entries = profile(cell, shape).parameters, table.sizes(cell)
        agreeing += parameters in entries
        first_off += entries[0] != parameters
    return SizeCheck(len(table.indices), agreeing, first_off)
