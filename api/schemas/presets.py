"""Presets on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas.jobs import JobKind
from darts_core.primitives import Family


class PresetOut(BaseModel):
    """What a spec that names this preset starts from."""

    kind: JobKind
    family: Family
    name: str
    version: int
    latest: bool = Field(description="what a spec gets that names no version")
    values: dict[str, Any]


class PresetList(BaseModel):
    """All presets in all their versions."""

    items: list[PresetOut]
