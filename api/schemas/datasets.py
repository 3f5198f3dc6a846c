"""Defines the schemas of data sets."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.data.catalogue import NAME_RULE


class DatasetState(StrEnum):
    """The state of an uploaded set. Only a ready one can be used."""

    CHECKING = "checking"
    READY = "ready"
    FAILED = "failed"


class Availability(StrEnum):
    """Whether the workers hold a set's files."""

    READY = "ready"
    DOWNLOADS = "downloads on first use"
    NEEDS_FILES = "needs files"


class DatasetCreate(BaseModel):
    """The fields next to an upload's file, or the path of a folder."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description=NAME_RULE)
    kind: Literal["images", "text"] | None = Field(None, description="default: detected from the files")
    size: int | None = Field(
        None, ge=4, le=1024, description="pixels per side to which every image is scaled, after a central square crop"
    )
    path: str | None = Field(
        None, min_length=1, max_length=1000, description="instead of a file: a folder below the workers' data root"
    )


class Sizes(BaseModel):
    """The numbers of images or words in each part. `valid` is 0 if every run holds out training images of its own."""

    train: int
    valid: int
    test: int


class ImageSize(BaseModel):
    """The size in pixels. channels: 1 for grey, 3 for colour."""

    height: int
    width: int
    channels: int


class SkippedFile(BaseModel):
    """A file that is not in the set."""

    file: str
    reason: str


class CheckReport(BaseModel):
    """The number of skipped files, by cause, with the first ones by name; changes to images; warnings."""

    skipped: int
    causes: dict[str, int]
    files: list[SkippedFile]
    changes: dict[str, int] = Field({}, description="changes made to images, with the number of images")
    warnings: list[str] = Field([], description="unexpected properties of the set")


class DatasetOut(BaseModel):
    """A data set that specs can name. Unknown fields, and those of a failed set, are null."""

    name: str
    kind: Literal["images", "text", "unknown"] = Field(description="`unknown` until the check determines it")
    source: Literal["built-in", "upload", "path"]
    state: DatasetState
    classes: int | None = None
    class_names: list[str] | None = None
    sizes: Sizes | None = None
    image: ImageSize | None = None
    held_out: list[Literal["valid", "test"]] | None = Field(
        None, description="parts missing from the upload, held out deterministically from its training images"
    )
    mean: list[float] | None = Field(None, description="of each channel of the training images, scaled to 0..1")
    std: list[float] | None = None
    words: int | None = Field(
        None, description="for a text: size of its vocabulary, which is built from the training part only"
    )
    unknown: Sizes | None = Field(None, description="for a text: words of each part outside the vocabulary")
    checksum: str | None = Field(None, description="sha256 of the packed set; equal for equal images or words")
    bytes: int | None = Field(None, description="of the packed set")
    preset: str
    availability: Availability | None = Field(
        None,
        description="of a published set, by the files that live workers report; null for an upload that is not ready",
    )
    held_by: list[str] | None = Field(
        None, description="live workers that hold a published set's files; null if none are needed"
    )
    files: list[str] | None = Field(
        None, description="paths of a published set's files under a worker's data root; null if none are needed"
    )
    error: str | None = Field(None, description="why the check failed, with the remedy")
    created_at: datetime | None = None
    checked_at: datetime | None = None


class DatasetDetail(DatasetOut):
    """A data set with the report of its check."""

    report: CheckReport | None = None


class DatasetList(BaseModel):
    """The built-in data sets, then the uploaded ones, newest first."""

    items: list[DatasetOut]
