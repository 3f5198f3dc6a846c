"""Sanitises names from archives and file systems for storage and display. Imports no torch."""

from __future__ import annotations

from typing import Any


def printable(text: str, longest: int = 500) -> str:
    r"""Replace characters that a database, JSON or a terminal cannot take; cut at `longest` characters.

    Bytes that are not UTF-8, which Python represents as lone surrogates, become `\udcNN`; control characters U+FFFD.
    """
    safe = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in safe)[:longest]


def storable(text: str) -> str:
    """Remove lone surrogates and NUL, which neither JSON nor a database takes; keep line breaks."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def printable_json(value: Any, longest: int = 4000) -> Any:
    """Apply `printable` to every text in a JSON value."""
    if isinstance(value, str):
        return printable(value, longest)
    if isinstance(value, list):
        return [printable_json(item, longest) for item in value]
    if isinstance(value, dict):
        return {printable(name, longest): printable_json(item, longest) for name, item in value.items()}
    return value
