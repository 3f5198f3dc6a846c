"""Escapes CSV fields that a spreadsheet would compute."""

from __future__ import annotations

from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def field(value: Any) -> Any:
    """The value, with an apostrophe before a text that a spreadsheet would compute as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
