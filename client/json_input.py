"""Parses JSON from a file, an option or standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer


def read_object(file: Path, hint: str) -> dict[str, Any]:
    """The object in a file; `-` is standard input. Raises typer.BadParameter and OSError."""
    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.buffer.read().decode() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{name} is not UTF-8 text: {error.reason}", param_hint=hint) from error
    return parse_object(text, hint, name)


def parse_object(text: str, hint: str, name: str = "this") -> dict[str, Any]:
    """The object in a text. Raises typer.BadParameter."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{name} is not JSON: {error}", param_hint=hint) from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{name} holds no JSON object with a spec's fields", param_hint=hint)
    return found


def value_of(text: str) -> Any:
    """The JSON value of a text, or the text itself if it is not JSON: plain text needs no quotes."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
