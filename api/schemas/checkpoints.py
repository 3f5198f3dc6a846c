"""Uploaded checkpoints on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from darts_core.configs.score import CheckpointFormat


class UploadOut(BaseModel):
    """A checkpoint that somebody uploaded; `download` is the path of its file."""

    id: UUID
    name: str
    format: CheckpointFormat
    sha256: str
    size: int
    dataset: str | None = Field(description="what it was trained on, as far as the file says")
    dataset_checksum: str | None = Field(description="of that data, where it was an uploaded set")
    classes: int | None
    genotype: dict[str, Any] | None
    created_at: datetime
    download: str


class UploadList(BaseModel):
    """One page, newest first; `next_cursor` leads to the next one, null at the end."""

    items: list[UploadOut]
    next_cursor: str | None
