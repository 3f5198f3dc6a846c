"""Compares a supernet's accuracies of cells, all with one set of weights, with the cells' true accuracies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.stats import bootstrap, kendalltau

from benchmarks.ledger.intervals import LEVEL, Interval
from benchmarks.ledger.protocol import Protocol
from benchmarks.oracle.table import OracleTable
from darts_core.configs import SearchConfig
from darts_core.genotypes import NasBench201Genotype
from darts_core.training.search import run_search
from darts_core.training.weight_sharing import random_cells

_RESAMPLES: Final = 999


@dataclass(frozen=True)
class Ranking:
    """cells: how many were compared. tau: Kendall's, with a bootstrap interval over the cells."""

    cells: int
    tau: Interval


def rank_cells(
    protocol: Protocol, table: OracleTable, *, dataset: str, data_root: Path, cells: int, seed: int
) -> Ranking:
    """Train the supernet by `rsps`, which measures all cells on the same validation batches.

    Raises ProtocolError, ConfigError, DataError.
    """
    config = protocol.search("rsps", seed, dataset)
    config = SearchConfig(**{**config.model_dump(), "sampled_cells": cells, "finalists": 1}).resolved()
    for report in run_search(config, data_root=data_root, device=torch.device(protocol.device)):
        measured = report.checkpoint["resume"]["accuracies"][:cells]
    drawn = random_cells(config, cells)
    true = [table.truth(cell).accuracy for cell in drawn if isinstance(cell, NasBench201Genotype)]
    return Ranking(cells, _tau(measured, true))


def _tau(measured: list[float], true: list[float]) -> Interval:
    found = bootstrap(
        (np.asarray(measured), np.asarray(true)),
        lambda some, others: kendalltau(some, others).statistic,
        paired=True,
        vectorized=False,
        n_resamples=_RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(float(kendalltau(measured, true).statistic), float(found.low), float(found.high))
