"""Shows how the networks compare: figures as text, tables in Markdown, and sentences on random cells and the bigram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.language_models.compare import Comparison, Row
from benchmarks.language_models.protocol import LanguageModelProtocol
from benchmarks.ledger.intervals import Interval

HEADINGS: Final = (
    "network", "parameters", "rate, dropout", "trainings", "test perplexity", "best", "minus LSTM", "validation",
    "training", "processor s", "",
)  # fmt: skip


def columns(row: Row) -> tuple[str, ...]:
    """A row's figures as text, in the order of HEADINGS."""
    return (
        row.network,
        f"{row.parameters:,}",
        str(row.setting),
        str(len(row.tests)) + (f", {row.diverged} diverged" if row.diverged else ""),
        f"{row.test.mean:.2f} ({row.test.low:.2f} to {row.test.high:.2f})",
        f"{min(row.tests):.2f}",
        "" if row.against_lstm is None else _difference(row.against_lstm),
        f"{row.validation:.2f}",
        "" if row.training is None else f"{row.training:.2f}",
        f"{row.seconds:.0f}",
        row.verdict,
    )


def remarks_on(found: Comparison) -> Iterator[str]:
    """Sentences on the searched cell beside the random ones, and on the bigram model."""
    random = next(row for row in found.rows if row.network.endswith("random cells"))
    count = len(random.tests) + random.diverged
    yield (
        f"With the random cells' setting ({random.setting}) {found.better} of {count} of them are better than the "
        f"searched cell with the same seed; its perplexity minus theirs is {_difference(found.against_random)}."
    )
    yield f"A bigram model has {found.bigram:.2f} on the same {found.predicted:,} words."


def markdown(found: Comparison, protocol: LanguageModelProtocol) -> str:
    """The table for docs/results.md, the grid's validation perplexities, the remarks, and the deviations."""
    grid = [
        (network, *("diverged" if value is None else f"{value:.2f}" for value in trials.values()))
        for network, trials in found.grid.items()
    ]
    paragraphs = [
        _table(HEADINGS, [columns(row) for row in found.rows], texts={0, 2, len(HEADINGS) - 1}),
        _table(("validation, first seed", *map(str, protocol.settings)), grid, texts={0}),
        "\n".join(f"- {sentence}" for sentence in (*remarks_on(found), *protocol.deviations)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: set[int]) -> str:
    rule = "|".join("---" if place in texts else "---:" for place in range(len(headings)))
    return "\n".join([f"| {' | '.join(headings)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _difference(found: Interval) -> str:
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"
