"""Reads the genotype of an evaluation's spec; `random` is replaced by a drawn cell. Imports no torch."""

from __future__ import annotations

from typing import Any

from darts_core.errors import GenotypeError
from darts_core.genotypes import drawn_cell, parse, to_json
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


def genotype_json(value: Any, family: Family, accepted: str) -> dict[str, Any]:
    """Convert a genotype in one of the accepted forms to its JSON form. Raises ValueError."""
    if not isinstance(value, (str, dict)):
        raise ValueError(f"expected {accepted}")
    try:
        return to_json(parse(value, family))
    except GenotypeError as error:
        raise ValueError(str(error)) from error
