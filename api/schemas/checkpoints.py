"""Uploaded checkpoints on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from darts_core.configs.score import CheckpointFormat
from darts_core.primitives import Family


class Normalisation(BaseModel):
    """One number a channel, of images scaled to 0..1."""

    mean: list[float]
    std: list[float]


class UploadOut(BaseModel):
    """An uploaded checkpoint; `download` is the path of its file."""

    id: UUID
    name: str
    format: CheckpointFormat
    family: Family = "cnn"
    sha256: str
    size: int
    dataset: str | None = Field(description="what it was trained on; `remarks` says what of that is assumed")
    dataset_checksum: str | None = Field(description="of that data: of an uploaded set, or a text")
    classes: int | None
    words: int | None = Field(None, description="in a language model's vocabulary")
    genotype: dict[str, Any] | None
    normalisation: Normalisation | None = Field(None, description="of an imported network of images")
    remarks: list[str] = Field([], description="of an imported network: what was assumed because it was not told")
    created_at: datetime
    download: str


class UploadList(BaseModel):
    """One page, newest first; `next_cursor` leads to the next one, null at the end."""

    items: list[UploadOut]
    next_cursor: str | None
