"""Defines the schemas of presets."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas.jobs import JobKind


class PresetOut(BaseModel):
    """The default values of a spec with this preset."""

    kind: JobKind
    family: str
    name: str
    version: int
    latest: bool = Field(description="the version of a spec that names none")
    values: dict[str, Any]


class PresetList(BaseModel):
    """All presets in all versions."""

    items: list[PresetOut]
