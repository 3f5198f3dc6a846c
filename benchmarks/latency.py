"""Compares latencies that are summed up from single operations with those of whole networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
import torch

from darts_core.genotypes import Genotype, random_genotype
from darts_core.genotypes.model import CNN_CELLS
from darts_core.primitives import CNN_PRIMITIVES, edges_of
from darts_core.profile.latency import latency_costs, network_latency
from darts_core.profile.operation_costs import OperationCosts
from darts_core.profile.shapes import Shape


def compare(shape: Shape, device: torch.device, *, cells: int) -> dict[str, Any]:
    """Measure twice `cells` random cells: the first half fits an offset and a scale, the second half is predicted.

    Errors are in percent of the measured milliseconds: the median over the second half with its 95 % bootstrap
    interval, as summed up and as fitted.
    """
    nodes = 4
    costs = latency_costs(CNN_PRIMITIVES, nodes, shape, device)
    genotypes = [random_genotype(seed, nodes=nodes) for seed in range(2 * cells)]
    summed = np.array([summed_latency(costs, genotype) for genotype in genotypes])
    measured = np.array([network_latency(genotype, shape, device) for genotype in genotypes])
    scale, offset = np.polyfit(summed[:cells], measured[:cells], 1)
    held_out, truth = summed[cells:], measured[cells:]
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "cells": cells,
        "measured_ms": [float(truth.min()), float(np.median(truth)), float(truth.max())],
        "offset_ms": float(offset),
        "scale": float(scale),
        "fitted_error": _median(np.abs(offset + scale * held_out - truth) / truth),
        "summed_error": _median(np.abs(held_out - truth) / truth),
        "rank_correlation": float(scipy.stats.kendalltau(held_out, truth).statistic),
    }


def summed_latency(costs: OperationCosts, genotype: Genotype) -> float:
    """Milliseconds of the genotype's network."""
    names = [*map(str, CNN_PRIMITIVES)]
    return costs.fixed + sum(
        costs.edges[cell][edges_of(node) + source][names.index(op)]
        for cell in CNN_CELLS
        for node, edges in enumerate(genotype.nodes(cell))
        for op, source in edges
    )


def _median(errors: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """In percent, with a 95 % interval."""
    found = scipy.stats.bootstrap((100 * errors,), np.median, method="percentile", rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    return {"median": float(np.median(100 * errors)), "low": float(low), "high": float(high)}
