"""Makes names out of archives and file systems fit to be stored and shown. Imports no torch."""

from __future__ import annotations

from typing import Any


def printable(text: str, longest: int = 500) -> str:
    """The text without characters that a database, JSON or a terminal cannot take, cut at `longest` characters.

    Bytes that are no UTF-8, which Python hands on as lone surrogates, become `\\udcNN`; control characters U+FFFD.
    """
    safe = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in safe)[:longest]


def storable(text: str) -> str:
    """The text with its line breaks, without what neither JSON nor a database takes: lone surrogates and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def printable_json(value: Any, longest: int = 4000) -> Any:
    """The JSON value with every text in it made printable."""
    if isinstance(value, str):
        return printable(value, longest)
    if isinstance(value, list):
        return [printable_json(item, longest) for item in value]
    if isinstance(value, dict):
        return {printable(name, longest): printable_json(item, longest) for name, item in value.items()}
    return value
