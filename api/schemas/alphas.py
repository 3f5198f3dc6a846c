"""Tables of alphas as workers report them: refused where no picture, no softmax and no cell could be made of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

_CELLS: Final = ({"normal", "reduce"}, {"recurrent"})


def _rectangular(table: list[list[float]]) -> list[list[float]]:
    if len({len(row) for row in table}) > 1:
        raise ValueError("rows of different lengths: each has one alpha for every primitive")
    return table


def _whole(alphas: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
    if set(alphas) not in _CELLS:
        raise ValueError(f"expected the tables `normal` and `reduce`, or `recurrent` alone; got {sorted(alphas)}")
    return alphas


# A string that looks like a number is none.
_Alpha = Annotated[float, Field(allow_inf_nan=False, strict=True)]
_Row = Annotated[list[_Alpha], Field(min_length=1, max_length=64)]
_Rows = Annotated[list[_Row], Field(min_length=1, max_length=256), AfterValidator(_rectangular)]
Alphas = Annotated[dict[str, _Rows], AfterValidator(_whole)]
