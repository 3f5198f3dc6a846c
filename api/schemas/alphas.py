"""Validates the tables of alphas that workers report, so that pictures, softmax and cells can be computed from them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from darts_core.families import FAMILIES


def _rectangular(table: list[list[float]]) -> list[list[float]]:
    if len({len(row) for row in table}) > 1:
        raise ValueError("rows of different lengths: each has one alpha for every primitive")
    return table


def _whole(alphas: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
    if not any(set(alphas) == set(family.cells) for family in FAMILIES.values()):
        raise ValueError(f"expected the tables `normal` and `reduce`, or `recurrent` alone; got {sorted(alphas)}")
    return alphas


def _few(alphas: Any) -> Any:
    """Checked before names and tables are validated."""
    if isinstance(alphas, dict) and len(alphas) > 2:
        raise ValueError(f"{len(alphas):,} tables: give `normal` and `reduce`, or `recurrent`")
    return alphas


# A search trains in float32 or float64; beyond the range of float32 it has diverged.
_LARGEST: Final = 3.4e38
# strict: a string that looks like a number is rejected.
_Alpha = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False, strict=True)]
_Row = Annotated[list[_Alpha], Field(fail_fast=True, min_length=1, max_length=64)]
_Rows = Annotated[list[_Row], Field(fail_fast=True, min_length=1, max_length=256), AfterValidator(_rectangular)]
Alphas = Annotated[dict[str, _Rows], BeforeValidator(_few), AfterValidator(_whole)]
