"""Compares asynchronous successive halving with Optuna's Hyperband pruner on the table of NAS-Bench-201, in simulated
time.

A trial is a cell drawn by Optuna's random sampler, the same cells in the same order for both. Its rungs are the table's
data sets, cheapest first; a rung costs the table's training time of the cell on it and gives its validation accuracy.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Protocol

import optuna

from benchmarks.ledger.intervals import Interval, interval, paired_difference
from benchmarks.oracle.table import OracleTable, TableName, load_table
from darts_core.genotypes import NasBench201Genotype
from darts_core.successive_halving import next_promotion

FIDELITIES: Final[tuple[TableName, ...]] = ("cifar10", "cifar100", "imagenet")
_EDGES: Final = 6
_OPERATIONS: Final = 5


@dataclass(frozen=True)
class Work:
    """A trial's stay on one rung."""

    trial: int
    index: str
    rung: int


class Scheduler(Protocol):
    """Says what a free worker does next."""

    def next(self) -> Work:
        """The next work."""

    def done(self, work: Work, value: float) -> None:
        """Take the value of a finished one."""


class Asha:
    """The rule of the service's studies: a paused trial is promoted once it is among the best of its rung."""

    def __init__(self, seed: int, eta: int) -> None:
        self._eta, self._cells = eta, _cells(_study(seed, optuna.pruners.NopPruner()))
        self._values: list[dict[int, float]] = [{} for _ in FIDELITIES]
        self._promoted: list[set[int]] = [set() for _ in FIDELITIES]
        self._drawn: list[str] = []

    def next(self) -> Work:
        if (found := next_promotion(self._values, self._promoted, self._eta)) is not None:
            trial, rung = found
            self._promoted[rung].add(trial)
            return Work(trial, self._drawn[trial], rung + 1)
        _, index = next(self._cells)
        self._drawn.append(index)
        return Work(len(self._drawn) - 1, index, 0)

    def done(self, work: Work, value: float) -> None:
        self._values[work.rung][work.trial] = value


class Hyperband:
    """Optuna's pruner: a trial goes on at once, or ends. Rung k reports at step eta ** k, as its brackets expect."""

    def __init__(self, seed: int, eta: int) -> None:
        self._steps = [eta**rung for rung in range(len(FIDELITIES))]
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=self._steps[-1], reduction_factor=eta)
        self._study = _study(seed, pruner)
        self._cells = _cells(self._study)
        self._trials: list[optuna.Trial] = []
        self._going: list[Work] = []

    def next(self) -> Work:
        if self._going:
            return self._going.pop(0)
        trial, index = next(self._cells)
        self._trials.append(trial)
        return Work(len(self._trials) - 1, index, 0)

    def done(self, work: Work, value: float) -> None:
        trial = self._trials[work.trial]
        trial.report(value, self._steps[work.rung])
        if work.rung == len(FIDELITIES) - 1:
            self._study.tell(trial, value)
        elif trial.should_prune():
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._going.append(Work(work.trial, work.index, work.rung + 1))


@dataclass
class Race:
    """What a scheduler has found in its time. trials: cells begun. reached: works finished on each rung."""

    regret: float = float("inf")
    trials: int = 0
    reached: list[int] = field(default_factory=lambda: [0] * len(FIDELITIES))


def run(scheduler: Scheduler, tables: Sequence[OracleTable], *, workers: int, seconds: float) -> Race:
    """Simulate the workers until the time is over; work that has not finished by then counts for nothing.

    The regret is that of the cell that is best on the highest rung reached, in percentage points of the last table.
    """
    race, order, best = Race(), count(), (-1, float("-inf"), "")
    running: list[tuple[float, int, Work]] = []

    def begin(now: float) -> None:
        work = scheduler.next()
        race.trials += work.rung == 0
        cost = tables[work.rung].train_seconds(NasBench201Genotype.of_index(work.index))
        heapq.heappush(running, (now + cost, next(order), work))

    for _ in range(workers):
        begin(0.0)
    while running[0][0] <= seconds:
        now, _, work = heapq.heappop(running)
        value = tables[work.rung].truth(NasBench201Genotype.of_index(work.index)).accuracy
        race.reached[work.rung] += 1
        best = max(best, (work.rung, value, work.index))
        scheduler.done(work, value)
        begin(now)
    if best[2]:
        race.regret = tables[-1].truth(NasBench201Genotype.of_index(best[2])).regret
    return race


@dataclass(frozen=True)
class Comparison:
    """Both schedulers with one budget. regrets: percentage points below the best cell, over the seeds."""

    hours: float
    asha: Interval
    hyperband: Interval
    difference: Interval
    asha_trials: float
    hyperband_trials: float
    asha_finished: float
    hyperband_finished: float


def compare(
    *, seeds: int, hours: Sequence[float], workers: int, eta: int, say: Callable[[str], None]
) -> list[Comparison]:
    """Run both with each budget and every seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tables = [load_table(name) for name in FIDELITIES]
    found = []
    for budget in hours:
        ours, theirs = (
            [run(make(seed, eta), tables, workers=workers, seconds=3600 * budget) for seed in range(seeds)]
            for make in (Asha, Hyperband)
        )
        found.append(_comparison(budget, ours, theirs))
        say(f"{budget:g} hours: {seeds} seeds of both are done")
    return found


def _comparison(hours: float, ours: Sequence[Race], theirs: Sequence[Race]) -> Comparison:
    regrets, others = [race.regret for race in ours], [race.regret for race in theirs]
    return Comparison(
        hours,
        interval(regrets),
        interval(others),
        paired_difference(regrets, others),
        *(sum(race.trials for race in races) / len(races) for races in (ours, theirs)),
        *(sum(race.reached[-1] for race in races) / len(races) for races in (ours, theirs)),
    )


def _study(seed: int, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed), pruner=pruner, direction="maximize")


def _cells(study: optuna.Study) -> Iterator[tuple[optuna.Trial, str]]:
    """Trials with their cells' indices."""
    while True:
        trial = study.ask()
        digits = (trial.suggest_int(f"edge {edge}", 0, _OPERATIONS - 1) for edge in range(_EDGES))
        yield trial, "".join(map(str, digits))
