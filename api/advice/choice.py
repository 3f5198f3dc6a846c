"""Chooses the method that the ledger's rows nearest to a data set and a budget speak for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from api.schemas.advice import Ledger, LedgerRow

RANDOM: Final = "random"
BETTER: Final = "better than random"
_FILE: Final = Path(__file__).with_name("ledger.json")


@dataclass(frozen=True)
class Choice:
    """row: that of the chosen method; random cells' where no method's is better. beside: the other rows of its
    protocol, best first. elsewhere: the method's rows on other images or in another space; protocols that have these in
    common share runs.
    """

    row: LedgerRow
    beside: Sequence[LedgerRow]
    elsewhere: Sequence[LedgerRow]

    @property
    def shown(self) -> list[LedgerRow]:
        """The rows that speak for the choice: its own, that of random cells beside it, and its own elsewhere."""
        return [self.row, *(row for row in self.beside if row.method == RANDOM), *self.elsewhere]


@cache
def ledger() -> Sequence[LedgerRow]:
    """The rows of all complete protocols."""
    return Ledger.model_validate_json(_FILE.read_text()).rows


def choose(rows: Sequence[LedgerRow], images: int, seconds: float) -> Choice:
    """Choose the most accurate method that is better than random in the protocol nearest to this many training images,
    among equally near ones to this many seconds of a search, then with the most seeds and with controls of size.
    """

    def distance(row: LedgerRow) -> tuple[float, float, int, bool]:
        of_images = abs(math.log(row.training_images / images))
        of_budget = abs(math.log(row.budget_seconds / seconds))
        return of_images, of_budget, -row.seeds, row.against_size is None

    nearest = min(rows, key=distance).protocol
    there = sorted((row for row in rows if row.protocol == nearest), key=lambda row: -row.accuracy)
    better = [row for row in there if row.verdict == BETTER]
    chosen = next(iter(better), None) or next(row for row in there if row.method == RANDOM)
    place = chosen.training_images, chosen.space
    elsewhere = [r for r in rows if r.method == chosen.method and (r.training_images, r.space) != place]
    return Choice(chosen, [row for row in there if row is not chosen], elsewhere)
