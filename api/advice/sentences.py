"""Words a choice's reasons, its warnings and what is not measured. Each claim is from a row of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from api.advice.choice import BETTER, RANDOM, Choice
from api.advice.plan import FINAL_RUNS, Plan, Training
from api.schemas.advice import IntervalOut, LedgerRow

_NOISE: Final = "not distinguishable from random"
_WORSE: Final = "worse than random"
_MINUTE, _HOUR = 60, 3600
# Seeds with which an interval covers too little.
_FEW: Final = 3


def reasons(choice: Choice) -> Iterator[str]:
    """Why this method, and how much of its lead is the size of its cells."""
    row = choice.row
    if row.against_random is None:
        yield f"random: in the ledger {row.protocol} no method is better than random cells at its budget."
    else:
        yield (
            f"{row.method}: {_accuracy(row)} in the ledger {row.protocol}, the mean of {row.seeds} seeds; a cell's "
            f"accuracy is that of {row.accuracy_of}."
        )
        yield f"The difference to a random cell of the space {row.space} is {_points(row.against_random)}."
        if row.seeds <= _FEW:
            yield f"With {row.seeds} seeds an interval's ends are hardly more than the least and greatest value."
        yield _of_size(row, row.against_random)
        yield from (f"In {each.protocol} it is {each.verdict}." for each in choice.elsewhere if each.verdict != BETTER)
    for verdict, words in ((_NOISE, "Not distinguishable from random at this budget"), (_WORSE, "Worse than random")):
        if names := [each.method for each in choice.beside if each.verdict == verdict]:
            yield f"{words}: {', '.join(names)}."


def limits(choice: Choice, images: int, spec: Mapping[str, Any], ledger: Sequence[LedgerRow]) -> Iterator[str]:
    """What the rows do not tell of a search with this resolved spec on so many training images."""
    row = choice.row
    if row.training_images != images:
        yield (
            f"No row of the ledger has your {images:,} training images: the nearest has {row.training_images:,} "
            f"({row.dataset})."
        )
    if row.method != RANDOM:
        yield (
            f"The ledger's searches had {row.seconds:.0f} processor seconds, {row.epochs} epochs, {row.channels} "
            f"channels and {row.layers} cells; this one has {spec['channels']} channels and {spec['layers']} cells. "
            "Longer searches and larger networks are not measured."
        )
    if all(each.order == 1 for each in ledger):
        yield "The second order has no row: it is not measured."


def costs(
    plan: Plan, search: Training, short: Training, final: Training, row: LedgerRow, *, gpus: int, hours: float
) -> Iterator[str]:
    """What the protocol costs, and how that was estimated."""
    if plan.seeds > 1:
        at_once = "one after the other" if gpus == 1 else f"up to {gpus} side by side"
        yield (
            f"{plan.seeds} searches, as many short retrainings and {FINAL_RUNS} final runs of the chosen cell, "
            f"{at_once}: about {_duration(plan.hours)}."
        )
    else:
        yield from _single(plan, hours)
        if row.deviation:
            yield f"A single seed: the ledger's accuracies deviate by {row.deviation:.2f} points from seed to seed."
    parts = {"search": search, **({"short retraining": short} if plan.seeds > 1 else {}), "retraining": final}
    for name, training in parts.items():
        found = training.estimate(plan.share)
        about = f"about {_duration(found.seconds / _HOUR)} for {_epochs(found.epochs)}: " if found.seconds else ""
        yield f"Cost of a {name}: {about}{found.how}."
    if final.time.seconds is not None:
        yield "The retraining is estimated for a random cell; the found one may be larger or smaller."


def _single(plan: Plan, hours: float) -> Iterator[str]:
    if plan.hours is None:
        yield "One search and a retraining: whether several seeds fit is unknown."
        return
    yield f"One search and a retraining, about {_duration(plan.hours)}: a study of two seeds takes too long."
    if plan.hours > hours:
        yield "Both need an epoch at least: that takes longer than you have."
    elif plan.share < 1:
        yield f"To fit, both have {100 * plan.share:.2g} % of their presets' epochs."


def _of_size(row: LedgerRow, lead: IntervalOut) -> str:
    alike, minus = row.against_size, "the difference to random cells of the same size is"
    if alike is None:
        return "Random cells of the same size were not measured: larger cells may explain the lead."
    if not alike.excludes_zero:
        return f"Larger cells explain the lead: {minus} {_points(alike)}. Drawing large cells does as well there."
    if alike.mean < lead.mean / 2:
        return f"Larger cells explain most of the lead: {minus} {_points(alike)}."
    return f"Larger cells do not explain the lead alone: {minus} {_points(alike)}."


def _accuracy(row: LedgerRow) -> str:
    return f"{row.accuracy:.2f} %" if row.deviation is None else f"{row.accuracy:.2f} ± {row.deviation:.2f} %"


def _points(interval: IntervalOut) -> str:
    return f"{interval.mean:+.2f} points ({interval.low:+.2f} to {interval.high:+.2f})"


def _epochs(count: int) -> str:
    return f"{count:,} epoch{'' if count == 1 else 's'}"


def _duration(hours: float | None) -> str:
    seconds = (hours or 0) * _HOUR
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:,.1f} h"
