"""Shows the counted collapses: figures as text, a table in Markdown, and what they say of plain DARTS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Final

from benchmarks.collapse.count import Row
from benchmarks.collapse.protocol import CollapseProtocol
from benchmarks.ledger.intervals import signed
from client.tables import Column, Listing

_FIGURES: Final = (
    "epochs", "collapsed", "share", "acted", "skips, noise", "accuracy, %", "minus plain", "processor s",
)  # fmt: skip


def listing(rows: Sequence[Row]) -> Listing:
    """The table of all spaces."""
    found = Listing("space", "guard", *(Column(title, number=True) for title in _FIGURES))
    for row in rows:
        found.add(
            row.space,
            row.guard,
            str(row.epochs),
            f"{row.collapsed} of {row.searches}",
            f"{100 * row.share.mean:.0f} % ({100 * row.share.low:.0f} to {100 * row.share.high:.0f})",
            "" if row.guard == "off" else str(row.acted),
            f"{100 * row.idle_share:.0f} %",
            "" if row.accuracies is None else f"{fmean(row.accuracies):.2f}",
            signed(row.against_plain),
            f"{row.seconds:.0f}",
        )
    return found


def remarks_on(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence for each space in which no search without a guard has collapsed."""
    for row in rows:
        if row.guard == "off" and row.collapsed == 0:
            yield f"In {row.space} DARTS does not collapse at this budget: there is nothing to guard against."


def markdown(rows: Sequence[Row], protocol: CollapseProtocol) -> str:
    """The table for docs/results.md, the remarks, and the protocol's deviations."""
    sentences = [*remarks_on(rows), *protocol.deviations]
    return "\n".join([*listing(rows).markdown(), "", *(f"- {sentence}" for sentence in sentences)]) + "\n"
