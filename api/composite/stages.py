"""Names the stages of a study's children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SEARCH: Final = "search"
SHORT: Final = "short-retrain"
FINAL: Final = "final"


def stage_of(spec: Mapping[str, Any], point: int, name: str, what: str, number: int) -> str:
    """A child's stage; with several points, prefixed with its own."""
    prefix = f"point-{point}/" if len(spec["points"]) > 1 or spec.get("sample") else ""
    return f"{prefix}{name}/{what}-{number}"
