"""Searches with several weights of a `target`, and computes the multiply-adds of the found cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.genotypes import Genotype, parse
from darts_core.profile.network import profile_cells
from darts_core.profile.shapes import shape_for


def searches(
    search: dict[str, Any],
    *,
    weights: Sequence[float],
    seeds: Sequence[int],
    data_root: Path,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """For each weight the multiply-adds of the cells that the seeds find, in the network that is retrained.

    search: a spec without seed and target, on a built-in set; weight 0 is without a target.
    """
    shape = shape_for(search["dataset"])
    assert shape is not None  # a built-in set has one
    rows: list[dict[str, Any]] = []
    for weight in weights:
        found: list[dict[str, Any]] = []
        for seed in seeds:
            target = {"multiply_adds": {"weight": weight}} if weight else None
            config = SearchConfig(**search, seed=seed, target=target).resolved()
            *_, last = run_search(config, data_root=data_root)
            genotype = parse(last.checkpoint["genotype"], "cnn")
            assert isinstance(genotype, Genotype)
            adds = profile_cells(genotype, shape).multiply_adds
            found.append({"seed": seed, "multiply_adds": adds, "metrics": last.metrics, "genotype": str(genotype)})
            say(f"weight {weight:g}, seed {seed}: {adds:,} multiply-adds")
        accuracies = [one["metrics"]["validation_accuracy"] for one in found]
        rows.append(
            {
                "weight": weight,
                "multiply_adds": mean(one["multiply_adds"] for one in found),
                "validation_accuracy": mean(accuracies),
                "searches": found,
            }
        )
    return rows
