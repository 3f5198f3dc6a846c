"""Translates an id's prefix to a range of ids, which the primary key's index can find."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement

IdPrefix = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9A-Fa-f][0-9A-Fa-f-]{0,35}$", description="the first digits of the id, with or without hyphens"
    ),
]


def begins_with(column: Any, prefix: str) -> ColumnElement[bool]:
    """The condition that an id begins with these hexadecimal digits; hyphens are ignored."""
    digits = prefix.replace("-", "").lower()[:32]
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    condition: ColumnElement[bool] = column.between(first, last)
    return condition
