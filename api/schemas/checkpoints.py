"""Defines the schemas of uploaded checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from darts_core.configs.score import CheckpointFormat
from darts_core.primitives import Family


class Normalisation(BaseModel):
    """The mean and standard deviation of each channel of images scaled to 0..1."""

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
    dataset: str | None = Field(description="its training data; `remarks` lists assumptions")
    dataset_checksum: str | None = Field(description="of that data, for an uploaded set or a text")
    classes: int | None
    words: int | None = Field(None, description="size of a language model's vocabulary")
    genotype: dict[str, Any] | None
    normalisation: Normalisation | None = Field(None, description="for an imported network of images")
    remarks: list[str] = Field([], description="for an imported network: assumptions about fields that were not given")
    created_at: datetime
    download: str


class UploadList(BaseModel):
    """One page, newest first; `next_cursor` leads to the next page and is null on the last."""

    items: list[UploadOut]
    next_cursor: str | None
