"""Searches in the space of NAS-Bench-201, in this process, and looks the found cells up in its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.ledger.protocol import Protocol
from benchmarks.oracle.table import OracleTable
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.genotypes import NasBench201Genotype
from darts_core.training.perturbation import run_perturbation
from darts_core.training.reports import EpochReport
from darts_core.training.search import run_search

CALIBRATED_EPOCHS: Final = 2


@dataclass(frozen=True)
class Found:
    """One search, or one with the selection that follows it.

    method: its name, for a selection with `+ perturbation`. epochs and seconds: of the search and the selection.
    skip_share: of the cell's six edges. processor_seconds: of the epochs, by all threads.
    """

    method: str
    seed: int
    epochs: int
    index: str
    cell: str
    accuracy: float
    rank: int
    regret: float
    skip_share: float
    processor_seconds: float
    wall_seconds: float


def searches(
    protocol: Protocol,
    table: OracleTable,
    methods: Iterable[MethodName],
    seeds: Iterable[int],
    *,
    dataset: str,
    data_root: Path,
    say: Callable[[str], None],
    select: bool = False,
) -> Iterator[Found]:
    """Run all searches, method by method. Raises ProtocolError before the first for a method without epochs, and as
    run_search.

    select: follow each by a selection by perturbation, and yield that too. Raises ConfigError for a method whose
    supernet has no alphas or stages.
    """
    seeds = list(seeds)
    options: dict[str, Any] = {"data_root": data_root, "device": torch.device(protocol.device)}
    for config in [protocol.search(method, seed, dataset) for method in methods for seed in seeds]:
        last, cost = _run(config, run_search(config, **options))
        yield _found(config.method, config.seed, last, cost, table, say)
        if select:
            selection = protocol.selection(config, last.epoch)
            last, more = _run(selection, run_perturbation(selection, source=last.checkpoint, **options))
            yield _found(f"{config.method} + perturbation", config.seed, last, cost + more, table, say)


def calibrate(
    protocol: Protocol, methods: Iterable[MethodName], *, dataset: str, data_root: Path, say: Callable[[str], None]
) -> dict[MethodName, float]:
    """Processor seconds of an epoch of each method that trains: half of a search of two epochs, with its selection."""
    found: dict[MethodName, float] = {}
    for method in methods:
        if not METHODS[method].trains:
            continue
        config = protocol.search(method, 0, dataset, CALIBRATED_EPOCHS)
        found[method] = epoch_seconds(config, data_root, torch.device(protocol.device))
        say(f"{method}: {found[method]:.2f} processor seconds an epoch")
    return found


def epoch_seconds(config: SearchConfig, data_root: Path, device: torch.device) -> float:
    """Processor seconds of an epoch of this search, the mean of all. Raises as run_search."""
    _, cost = _run(config, run_search(config, data_root=data_root, device=device))
    return cost.processor / cost.epochs


@dataclass(frozen=True)
class _Cost:
    """Epochs of the spec, and the processor and wall seconds that they took, without the reading of images."""

    epochs: int
    processor: float
    wall: float

    def __add__(self, other: _Cost) -> _Cost:
        return _Cost(self.epochs + other.epochs, self.processor + other.processor, self.wall + other.wall)


def _run(config: SearchConfig, reports: Iterator[EpochReport]) -> tuple[EpochReport, _Cost]:
    """The last report, and the cost of all."""
    processor, wall = time.process_time(), time.perf_counter()
    for report in reports:
        last = report
    return last, _Cost(config.epochs, time.process_time() - processor, time.perf_counter() - wall)


def _found(
    method: str, seed: int, last: EpochReport, cost: _Cost, table: OracleTable, say: Callable[[str], None]
) -> Found:
    cell = last.genotype
    assert isinstance(cell, NasBench201Genotype)
    truth = table.truth(cell)
    say(f"{method}, seed {seed}: {cell.index}, {truth.accuracy:.2f} %, {cost.processor:.1f} processor seconds")
    return Found(
        method,
        seed,
        cost.epochs,
        cell.index,
        str(cell),
        truth.accuracy,
        truth.rank,
        truth.regret,
        cell.index.count("1") / len(cell.index),
        cost.processor,
        cost.wall,
    )
