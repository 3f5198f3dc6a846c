"""Summarises the oracle's searches by method, as rows and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from benchmarks.oracle.searches import Found
from benchmarks.oracle.table import OracleTable

RANDOM_COUNTS: Final = (1, 5, 10)


@dataclass(frozen=True)
class Row:
    """The searches of one method. accuracy, rank, regret, skip_share and seconds: means over the seeds. deviation: of
    the accuracy; None for a single seed.
    """

    method: str
    epochs: int
    cells: tuple[str, ...]
    accuracy: float
    deviation: float | None
    rank: float
    regret: float
    skip_share: float
    processor_seconds: float
    wall_seconds: float


def rows(found: Iterable[Found]) -> list[Row]:
    """One row for each method, and for its selections, in the order of the searches."""
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.method, []).append(one)
    return [_row(method, group) for method, group in groups.items()]


def _row(method: str, group: Sequence[Found]) -> Row:
    accuracies = [one.accuracy for one in group]
    return Row(
        method,
        group[0].epochs,
        tuple(one.index for one in group),
        fmean(accuracies),
        stdev(accuracies) if len(group) > 1 else None,
        fmean(one.rank for one in group),
        fmean(one.regret for one in group),
        fmean(one.skip_share for one in group),
        fmean(one.processor_seconds for one in group),
        fmean(one.wall_seconds for one in group),
    )


def columns(row: Row) -> tuple[str, ...]:
    """A row's figures as text, in the order of HEADINGS."""
    deviation = "" if row.deviation is None else f" ± {row.deviation:.2f}"
    return (
        row.method,
        str(row.epochs),
        f"{row.accuracy:.2f}{deviation}",
        f"{row.rank:,.0f}",
        f"{row.regret:.2f}",
        f"{100 * row.skip_share:.0f} %",
        f"{row.processor_seconds:.0f}",
        f"{row.wall_seconds:.0f}",
        " ".join(row.cells),
    )


HEADINGS: Final = (
    "method", "epochs", "accuracy, %", "rank", "regret", "skips", "processor s", "wall s", "cells"
)  # fmt: skip


def random_rows(table: OracleTable) -> list[tuple[str, float]]:
    """The expected accuracy of the best of n random cells, for comparison."""
    return [(f"best of {count} random", table.best_of_random(count)) for count in RANDOM_COUNTS]


def markdown(found: Sequence[Row], table: OracleTable) -> str:
    """A table for docs/results.md."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" + "|---:" * (len(HEADINGS) - 2) + "|---|"]
    lines += ["| " + " | ".join(columns(row)) + " |" for row in found]
    for name, accuracy in random_rows(table):
        cells = [name, "", f"{accuracy:.2f}", "", f"{table.best - accuracy:.2f}", *[""] * (len(HEADINGS) - 5)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
