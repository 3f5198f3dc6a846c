"""Validates the tables of alphas and operation strengths that workers report, so that cells and pictures can be made of
them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from darts_core.families import FAMILIES
from darts_core.genotypes.derive import EDGES


def _rectangular(table: list[list[float]]) -> list[list[float]]:
    if len({len(row) for row in table}) > 1:
        raise ValueError("rows of different lengths: each has one number for every primitive")
    return table


def family_of_tables(names: Collection[str]) -> str | None:
    """The family whose cells these tables of alphas are, besides `<cell>_edges` for some of the cells; None for other
    tables.
    """
    cells = {name for name in names if not name.endswith(EDGES)}
    if any(name.removesuffix(EDGES) not in cells for name in names):
        return None
    return next(
        (
            family.name
            for family in FAMILIES.values()
            if any(set(known) == cells for known in (family.cells, *(space.cells for space in family.spaces.values())))
        ),
        None,
    )


def _whole(alphas: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
    if family_of_tables(alphas) is None:
        raise ValueError(
            "expected the tables `normal` and `reduce`, or `recurrent` or `cell` alone, and optionally `<table>_edges` "
            "of each; "
            f"got {sorted(alphas)}"
        )
    for name, table in alphas.items():
        edges = alphas.get(f"{name}{EDGES}")
        if edges is not None and len(edges) != len(table):
            raise ValueError(f"`{name}{EDGES}` has {len(edges)} rows, `{name}` {len(table)}: each edge has one in both")
    return alphas


def _few(tables: Any) -> Any:
    """Checked before names and tables are validated."""
    if isinstance(tables, dict) and len(tables) > _MOST_TABLES:
        raise ValueError(f"{len(tables):,} tables: give `normal` and `reduce`, or `recurrent`, or `cell`")
    return tables


# Those of two cells and of their edges.
_MOST_TABLES: Final = 4
# A search trains in float32 or float64; beyond the range of float32 it has diverged.
_LARGEST: Final = 3.4e38
# strict: a string that looks like a number is rejected.
_Alpha = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False, strict=True)]
# A weight; above 1 by rounding alone.
_Strength = Annotated[float, Field(ge=0, le=1 + 1e-6, allow_inf_nan=False, strict=True)]


_WIDE: Final = Field(fail_fast=True, min_length=1, max_length=64)
_LONG: Final = Field(fail_fast=True, min_length=1, max_length=256)
_AlphaTable = Annotated[list[Annotated[list[_Alpha], _WIDE]], _LONG, AfterValidator(_rectangular)]
_StrengthTable = Annotated[list[Annotated[list[_Strength], _WIDE]], _LONG, AfterValidator(_rectangular)]
Alphas = Annotated[dict[str, _AlphaTable], BeforeValidator(_few), AfterValidator(_whole)]
Strengths = Annotated[dict[str, _StrengthTable], BeforeValidator(_few)]
