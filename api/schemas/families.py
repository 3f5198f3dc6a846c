"""Chooses a request's model by the family that its body names."""

from __future__ import annotations

from typing import Any

from darts_core.families import FAMILIES, family_in


def family_of_body(body: Any) -> str:
    """`cnn` unless the body names another one that is known: anything else is for the fields of `cnn` to refuse."""
    return family_in(body if isinstance(body, dict) else {"family": getattr(body, "family", None)}).name


def family_by_search(body: Any) -> str:
    """The body's own word, else that of its search."""
    search = body.get("search") if isinstance(body, dict) else None
    if isinstance(body, dict) and "family" not in body and isinstance(search, dict):
        return family_of_body(search)
    return family_of_body(body)


def without_family(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A field's place as the client sees its body: without the family by which its form was chosen."""
    return loc[1:] if len(loc) > 1 and loc[0] in FAMILIES else loc
