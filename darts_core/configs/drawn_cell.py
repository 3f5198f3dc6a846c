"""Replaces `"genotype": "random"` in an evaluation's spec by a drawn cell. Imports no torch."""

from __future__ import annotations

from typing import Any

from darts_core.genotypes import drawn_cell, to_json
from darts_core.genotypes.random_cells import RANDOM
from darts_core.primitives import Family


def with_drawn_cell(values: Any, family: Family) -> Any:
    """Return the values with the cell drawn by `genotype_seed`, which defaults to the spec's `seed`."""
    if not isinstance(values, dict) or values.get("genotype") != RANDOM:
        return values
    seed = values.get("genotype_seed")
    if seed is None:
        seed = values.get("seed", 0)
    if type(seed) is not int or seed < 0:
        return values  # field validation refuses these
    rest = {name: value for name, value in values.items() if name != "genotype_seed"}
    return {**rest, "genotype": to_json(drawn_cell(family, seed))}
