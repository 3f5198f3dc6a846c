"""Sums up a ledger by method: the accuracy of the found cells, and its difference to that of random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from api.schemas.advice import Verdict
from benchmarks.ledger.intervals import Interval, paired_difference, signed
from benchmarks.ledger.protocol import BASELINE, Protocol
from benchmarks.ledger.store import Run
from client.tables import Column, Listing
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS


@dataclass(frozen=True)
class Worth:
    """A found cell's worth. accuracy: in percent, by the table or the retraining. rank: in the table. skip_share: of
    its edges. of_its_size: mean accuracy of random cells with as many parameters.
    """

    accuracy: float
    skip_share: float
    rank: int | None = None
    regret: float | None = None
    of_its_size: float | None = None


@dataclass(frozen=True)
class Row:
    """A method's searches.

    against_random: the accuracies minus those of random cells; None for these. against_size: minus those of random
    cells with as many parameters.
    """

    method: MethodName
    epochs: int
    accuracies: tuple[float, ...]
    accuracy: float
    deviation: float | None
    against_random: Interval | None
    against_size: Interval | None
    rank: float | None
    regret: float | None
    skip_share: float
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Whether the cells differ from random ones, as far as these seeds tell."""
        if self.against_random is None:
            return ""
        if not self.against_random.excludes_zero:
            return "not distinguishable from random"
        return "better than random" if self.against_random.mean > 0 else "worse than random"


def rows(
    searches: Mapping[MethodName, Sequence[Run]],
    worths: Mapping[MethodName, Sequence[Worth]],
    expected: float | None = None,
) -> list[Row]:
    """One row for each method, the best mean first. Runs and worths are in the order of the seeds.

    expected: accuracy of a random cell, the mean over the whole space. Without it the searches are compared with the
    random cells of their seeds, whose retraining has the same batches.
    """
    random = [worth.accuracy if expected is None else expected for worth in worths[BASELINE]]
    found = [_row(method, runs, worths[method], random) for method, runs in searches.items()]
    return sorted(found, key=lambda row: -row.accuracy)


def _row(method: MethodName, runs: Sequence[Run], worths: Sequence[Worth], random: Sequence[float]) -> Row:
    accuracies = tuple(worth.accuracy for worth in worths)
    ranks = [worth.rank for worth in worths if worth.rank is not None]
    regrets = [worth.regret for worth in worths if worth.regret is not None]
    sizes = [worth.of_its_size for worth in worths if worth.of_its_size is not None]
    several = len(accuracies) > 1
    return Row(
        method,
        runs[0].spec.get("epochs", SearchConfig.model_fields["epochs"].default),  # stored without defaults
        accuracies,
        fmean(accuracies),
        stdev(accuracies) if several else None,
        paired_difference(accuracies, random) if several and method != BASELINE else None,
        paired_difference(accuracies, sizes) if several and sizes else None,
        fmean(ranks) if ranks else None,
        fmean(regrets) if regrets else None,
        fmean(worth.skip_share for worth in worths),
        fmean(run.seconds for run in runs),
    )


_FIGURES: Final = (
    "epochs", "accuracy, %", "minus random", "minus random of its size", "rank", "regret", "skips", "processor s",
)  # fmt: skip


def listing(rows: Sequence[Row]) -> Listing:
    """The table of all methods."""
    figures = (Column(title, number=True) for title in _FIGURES)
    found = Listing("method", *figures, "", "published, in DARTS' space")
    for row in rows:
        found.add(
            row.method,
            str(row.epochs),
            f"{row.accuracy:.2f}" + ("" if row.deviation is None else f" ± {row.deviation:.2f}"),
            signed(row.against_random),
            signed(row.against_size),
            "" if row.rank is None else f"{row.rank:,.0f}",
            "" if row.regret is None else f"{row.regret:.2f}",
            f"{100 * row.skip_share:.0f} %",
            f"{row.seconds:.0f}",
            row.verdict,
            "; ".join(published.figure for published in METHODS[row.method].published),
        )
    return found


def markdown(rows: Sequence[Row], protocol: Protocol) -> str:
    """The table for docs/results.md, and the protocol's deviations."""
    return "\n".join([*listing(rows).markdown(), "", *(f"- {sentence}" for sentence in protocol.deviations)]) + "\n"
