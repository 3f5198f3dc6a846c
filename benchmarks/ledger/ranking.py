"""Compares a supernet's accuracies of cells, all with one set of weights, with the cells' true accuracies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import bootstrap, kendalltau

from benchmarks.ledger.intervals import LEVEL, Interval
from benchmarks.oracle.table import OracleTable
from darts_core.configs import SearchConfig
from darts_core.files.checkpoints import Checkpoint
from darts_core.genotypes import NasBench201Genotype
from darts_core.training.weight_sharing import random_cells

_RESAMPLES: Final = 999


@dataclass(frozen=True)
class Ranking:
    """cells: how many were compared. tau: Kendall's, with a bootstrap interval over the cells."""

    cells: int
    tau: Interval


def ranking(config: SearchConfig, checkpoint: Checkpoint, table: OracleTable) -> Ranking:
    """Of a finished search by `rsps`, whose sampled cells were all measured on the same validation batches."""
    assert config.sampled_cells is not None
    cells = random_cells(config, config.sampled_cells)
    measured = np.asarray(checkpoint["resume"]["accuracies"][: len(cells)])
    true = np.asarray([table.truth(cell).accuracy for cell in cells if isinstance(cell, NasBench201Genotype)])
    found = bootstrap(
        (measured, true),
        lambda some, others: kendalltau(some, others).statistic,
        paired=True,
        vectorized=False,
        n_resamples=_RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    tau = float(kendalltau(measured, true).statistic)
    return Ranking(len(cells), Interval(tau, float(found.low), float(found.high)))
