"""Gives the regret of the cells that methods find in NAS-Bench-201's space, against the budget of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.ledger.intervals import Interval, interval
from benchmarks.ledger.protocol import Protocol, ProtocolError
from benchmarks.ledger.sources import RunsOf
from benchmarks.oracle.table import OracleTable
from client.tables import Column, Listing
from darts_core.configs.method_fields import MethodName
from darts_core.genotypes import NasBench201Genotype, parse

RANDOM_COUNTS: Final = (1, 5, 20)


@dataclass(frozen=True)
class Point:
    """A method's searches with one budget. regrets: percentage points below the best cell, in the order of seeds."""

    method: MethodName
    budget_seconds: float
    epochs: int
    regrets: tuple[float, ...]
    regret: Interval


def curve(
    protocol: Protocol,
    methods: Sequence[MethodName],
    budgets: Sequence[float],
    table: OracleTable,
    dataset: str,
    runs_of: RunsOf,
) -> list[Point]:
    """Search with each budget. Raises ProtocolError, ConfigError, and as `runs_of` does.

    A search with a longer budget is another one, with its own schedules: not the shorter one continued.
    """
    if protocol.retraining is not None:
        raise ProtocolError(f"the best cell of space {protocol.space} is unknown: no regret")
    points = [(method, budget, protocol.within(budget)) for method in methods for budget in budgets]
    seeds = range(protocol.seeds)
    runs = iter(runs_of([of.search(method, seed, dataset) for method, _, of in points for seed in seeds]))
    found = []
    for method, budget, of in points:
        cells = [parse(next(runs).genotype or {}) for _ in seeds]
        regrets = tuple(table.truth(cell).regret for cell in cells if isinstance(cell, NasBench201Genotype))
        found.append(Point(method, budget, of.epochs[method], regrets, interval(regrets)))
    return found


def listing(points: Sequence[Point], table: OracleTable) -> Listing:
    """The curve as a table, with the expected regret of the best of some random cells below."""
    found = Listing("method", *(Column(title, number=True) for title in ("processor s", "epochs", "regret")))
    for point in points:
        regret = f"{point.regret.mean:.2f} ({point.regret.low:.2f} to {point.regret.high:.2f})"
        found.add(point.method, f"{point.budget_seconds:g}", str(point.epochs), regret)
    for count in RANDOM_COUNTS:
        found.add(f"best of {count} random", "", "", f"{table.best - table.best_of_random(count):.2f}")
    return found
