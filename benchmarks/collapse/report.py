"""Shows the counted collapses: figures as text, a table in Markdown, and what they say of plain DARTS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Final

from benchmarks.collapse.count import Row
from benchmarks.collapse.protocol import CollapseProtocol
from benchmarks.ledger.intervals import Interval

HEADINGS: Final = (
    "space", "guard", "epochs", "collapsed", "share", "acted", "skips, noise", "accuracy, %", "minus plain",
    "processor s",
)  # fmt: skip


def columns(row: Row) -> tuple[str, ...]:
    """A row's figures as text, in the order of HEADINGS."""
    share = Interval(*(100 * end for end in (row.share.mean, row.share.low, row.share.high)))
    difference = row.against_plain
    return (
        row.space,
        row.guard,
        str(row.epochs),
        f"{row.collapsed} of {row.searches}",
        f"{share.mean:.0f} % ({share.low:.0f} to {share.high:.0f})",
        "" if row.guard == "off" else str(row.acted),
        f"{100 * row.idle_share:.0f} %",
        "" if row.accuracies is None else f"{fmean(row.accuracies):.2f}",
        "" if difference is None else f"{difference.mean:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})",
        f"{row.seconds:.0f}",
    )


def remarks_on(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence for each space in which no search without a guard has collapsed."""
    for row in rows:
        if row.guard == "off" and row.collapsed == 0:
            yield f"In {row.space} DARTS does not collapse at this budget: there is nothing to guard against."


def markdown(rows: Sequence[Row], protocol: CollapseProtocol) -> str:
    """The table for docs/results.md, the remarks, and the protocol's deviations."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---" + "|---:" * (len(HEADINGS) - 2) + "|"]
    lines += ["| " + " | ".join(columns(row)) + " |" for row in rows]
    sentences = [*remarks_on(rows), *protocol.deviations]
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in sentences)]) + "\n"
