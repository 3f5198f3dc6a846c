"""What commands print: for people by default, one JSON document with --json."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel
from rich.console import Console

console = Console(highlight=False)
# Progress and remarks go here, so that standard output holds the result alone.
remarks = Console(stderr=True, highlight=False)


def print_json(value: BaseModel | list[Any] | dict[str, Any]) -> None:
    """One document on one line."""
    sys.stdout.write(json.dumps(_plain(value)) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
