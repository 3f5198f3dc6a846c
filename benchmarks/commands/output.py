"""Prints a benchmark's result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_fields(result: Mapping[str, Any], *, json: bool) -> None:
    """Print a line for each field, or one document."""
    from client.output import console, print_json

    if json:
        print_json(dict(result))
        return
    for name, value in result.items():
        console.print(f"{name}: {value}")
