"""Fields of CSV files, which people open in spreadsheets."""

from __future__ import annotations

from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def field(value: Any) -> Any:
    """A text that a spreadsheet would compute as a formula, behind an apostrophe; numbers and other texts unchanged."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
