"""`"genotype": "random"` in the spec of an evaluation: the drawn cell takes its place. Imports no torch."""

from __future__ import annotations

from typing import Any

from darts_core.genotypes import drawn_cell, to_json
from darts_core.genotypes.random_cells import RANDOM
from darts_core.primitives import Family


def with_drawn_cell(values: Any, family: Family) -> Any:
    """The values of a spec with the cell that `genotype_seed`, the spec's own `seed` unless given, draws."""
    if not isinstance(values, dict) or values.get("genotype") != RANDOM:
        return values
    seed = values.get("genotype_seed")
    if seed is None:
        seed = values.get("seed", 0)
    if type(seed) is not int or seed < 0:
        return values  # which the fields refuse
    rest = {name: value for name, value in values.items() if name != "genotype_seed"}
    return {**rest, "genotype": to_json(drawn_cell(family, seed))}
