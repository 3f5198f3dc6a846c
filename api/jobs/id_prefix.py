"""Finds rows by id: by prefix, as a range of ids, which the primary key's index can find, and by page."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, Select, select

from api.db.models import Key, Upload

Row = TypeVar("Row", Key, Upload)
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


def newest(model: type[Row], limit: int, cursor: UUID | None, id_prefix: str | None) -> Select[Row]:
    """A page of rows before the cursor, newest first."""
    ids: Any = model.id
    query = select(model).order_by(ids.desc()).limit(limit)
    if cursor is not None:
        query = query.where(ids < cursor)
    return query if id_prefix is None else query.where(begins_with(ids, id_prefix))
