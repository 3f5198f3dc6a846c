"""Counts the cells of a collapse protocol that have collapsed, of searches with a guard and without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from scipy.stats import binomtest

from benchmarks.collapse.protocol import GUARDS, CollapseProtocol
from benchmarks.ledger.intervals import LEVEL, Interval, paired_difference
from benchmarks.ledger.sources import RunsOf
from benchmarks.ledger.store import Run
from benchmarks.oracle.searches import CALIBRATED_EPOCHS, epoch_seconds
from benchmarks.oracle.table import OracleTable, load_table
from darts_core.configs import SearchConfig
from darts_core.configs.guard import Guard
from darts_core.genotypes import ConvolutionalGenotype, Genotype, NasBench201Genotype, is_collapsed, parse
from darts_core.genotypes.diagnostics import IDLE, count
from darts_core.spaces import CnnSpace
from darts_core.spaces.nasbench201 import NAME as NASBENCH201


@dataclass(frozen=True)
class Row:
    """The searches in one space, with a guard or without.

    collapsed: cells that have, by `is_collapsed`. share: of them, with its Wilson interval at LEVEL. acted: searches in
    which the guard acted. idle_share: of the normal cell's edges, skip-connections and noise, the mean. accuracies: by
    the table, in the order of the seeds; None outside of NAS-Bench-201's space. against_plain: the accuracies minus
    those of the same seeds without a guard. seconds: processor seconds of a search.
    """

    space: CnnSpace
    guard: Guard
    epochs: int
    searches: int
    collapsed: int
    share: Interval
    acted: int
    idle_share: float
    accuracies: tuple[float, ...] | None
    against_plain: Interval | None
    seconds: float


def count_collapses(protocol: CollapseProtocol, dataset: str, runs_of: RunsOf) -> list[Row]:
    """A row for each space and guard. Raises what `runs_of` raises, ProtocolError, TableError and ConfigError."""
    table = load_table(protocol.table) if NASBENCH201 in protocol.spaces else None
    wanted = [(space, guard) for space in protocol.spaces for guard in GUARDS]
    configs = [
        protocol.search(space, guard, seed, dataset) for seed in range(protocol.seeds) for space, guard in wanted
    ]
    runs = runs_of(configs)
    found: dict[tuple[CnnSpace, Guard], Row] = {}
    for place, (space, guard) in enumerate(wanted):
        of_space = table if space == NASBENCH201 else None
        plain = found.get((space, GUARDS[0]))
        found[space, guard] = _row(space, configs[place], runs[place :: len(wanted)], of_space, plain)
    return list(found.values())


def calibrate(
    protocol: CollapseProtocol, *, dataset: str, data_root: Path, say: Callable[[str], None]
) -> dict[CnnSpace, float]:
    """Processor seconds of an epoch without a guard, by space."""
    found: dict[CnnSpace, float] = {}
    for space in protocol.spaces:
        config = protocol.search(space, GUARDS[0], 0, dataset, CALIBRATED_EPOCHS)
        found[space] = epoch_seconds(config, data_root, torch.device(protocol.device))
        say(f"{space}: {found[space]:.2f} processor seconds an epoch")
    return found


def _row(
    space: CnnSpace, config: SearchConfig, runs: Sequence[Run], table: OracleTable | None, plain: Row | None
) -> Row:
    cells = [parse(run.genotype or {}) for run in runs]
    collapsed = sum(map(is_collapsed, cells))
    ends = binomtest(collapsed, len(cells)).proportion_ci(LEVEL, method="wilson")
    accuracies = None if table is None else tuple(_accuracy(cell, table) for cell in cells)
    others = None if plain is None else plain.accuracies
    return Row(
        space,
        config.guard,
        config.epochs,
        len(runs),
        collapsed,
        Interval(collapsed / len(cells), float(ends.low), float(ends.high)),
        sum(_acted(run) for run in runs),
        fmean(map(_idle_share, cells)),
        accuracies,
        paired_difference(accuracies, others) if accuracies and others and len(others) > 1 else None,
        fmean(run.seconds for run in runs),
    )


def _accuracy(cell: ConvolutionalGenotype, table: OracleTable) -> float:
    assert isinstance(cell, NasBench201Genotype)
    return table.truth(cell).accuracy


def _idle_share(cell: ConvolutionalGenotype) -> float:
    edges = cell.normal if isinstance(cell, Genotype) else cell.cell
    return count(edges, IDLE) / len(edges)


def _acted(run: Run) -> bool:
    """Whether the guard has acted, by the metrics of the search's last epoch."""
    return "rolled_back_to" in run.metrics or run.metrics.get("guard_penalty", 0) > 0
