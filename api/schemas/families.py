"""Chooses a request's model by the family in its body."""

from __future__ import annotations

from typing import Any

from darts_core.families import FAMILIES, family_in


def family_of_body(body: Any) -> str:
    """The body's known family, else `cnn`, whose fields then reject the body."""
    return family_in(body if isinstance(body, dict) else {"family": getattr(body, "family", None)}).name


def space_or_family(value: Any) -> str:
    """The tag of the model of a cell's response: `nasbench201`, or the family of the object or its decoded form."""
    fields = value if isinstance(value, dict) else vars(value)
    return str(fields.get("space") or fields.get("family") or "cnn")


SELECTION = "selection"
"""The tag of requests that select a cell of an earlier search's supernet."""


def family_or_selection(body: Any) -> str:
    """`selection` for a body with `select`, else its family."""
    select = body.get("select") if isinstance(body, dict) else getattr(body, "select", None)
    return family_of_body(body) if select is None else SELECTION


def family_by_search(body: Any) -> str:
    """The body's family, else that of its search."""
    search = body.get("search") if isinstance(body, dict) else None
    if isinstance(body, dict) and "family" not in body and isinstance(search, dict):
        return family_of_body(search)
    return family_of_body(body)


def without_family(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The location of a field in the client's body: without the family or tag that selected the model."""
    return loc[1:] if len(loc) > 1 and loc[0] in (*FAMILIES, SELECTION) else loc
