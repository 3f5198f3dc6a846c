"""Searches in the space of NAS-Bench-201, in this process, and looks the found cells up in its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from benchmarks.oracle.protocol import Protocol
from benchmarks.oracle.table import OracleTable
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.genotypes import NasBench201Genotype
from darts_core.training.search import run_search

_CALIBRATED_EPOCHS: Final = 2


@dataclass(frozen=True)
class Found:
    """One search. skip_share: of the cell's six edges. processor_seconds: of the epochs, by all threads."""

    method: MethodName
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
) -> Iterator[Found]:
    """Run all searches, method by method. Raises ProtocolError for a method without epochs, and as run_search."""
    seeds = list(seeds)
    for method in methods:
        for seed in seeds:
            config = protocol.search(method, seed, dataset)
            cell, processor, wall = _run(config, protocol, data_root)
            truth = table.truth(cell)
            found = Found(
                method,
                seed,
                config.epochs,
                cell.index,
                str(cell),
                truth.accuracy,
                truth.rank,
                truth.regret,
                cell.index.count("1") / len(cell.index),
                processor,
                wall,
            )
            say(f"{method}, seed {seed}: {cell.index}, {truth.accuracy:.2f} %, {processor:.1f} processor seconds")
            yield found


def calibrate(
    protocol: Protocol, methods: Iterable[MethodName], *, dataset: str, data_root: Path, say: Callable[[str], None]
) -> dict[MethodName, float]:
    """Processor seconds of an epoch of each method that trains: half of a search of two epochs, with its selection."""
    found: dict[MethodName, float] = {}
    for method in methods:
        if not METHODS[method].trains:
            continue
        config = protocol.search(method, 0, dataset, _CALIBRATED_EPOCHS)
        _, processor, _ = _run(config, protocol, data_root)
        found[method] = processor / _CALIBRATED_EPOCHS
        say(f"{method}: {found[method]:.2f} processor seconds an epoch")
    return found


def _run(config: SearchConfig, protocol: Protocol, data_root: Path) -> tuple[NasBench201Genotype, float, float]:
    """The cell, and the processor and wall seconds of the epochs, without the reading of images."""
    reports = run_search(config, data_root=data_root, device=torch.device(protocol.device))
    processor, wall = time.process_time(), time.perf_counter()
    for report in reports:
        cell = report.genotype
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    assert isinstance(cell, NasBench201Genotype)
    return cell, processor, wall
