"""Data sets on the wire."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.data.catalogue import NAME_RULE


class DatasetState(StrEnum):
    """Where an uploaded set stands. Only a ready one can be used."""

    CHECKING = "checking"
    READY = "ready"
    FAILED = "failed"


class Availability(StrEnum):
    """Whether a set's files are where the workers run."""

    READY = "ready"
    DOWNLOADS = "downloads on first use"
    NEEDS_FILES = "needs files"


class DatasetCreate(BaseModel):
    """What comes with an upload's file, or names a folder in its stead."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description=NAME_RULE)
    kind: Literal["images", "text"] | None = Field(None, description="told by the files unless given")
    size: int | None = Field(
        None, ge=4, le=1024, description="scale every image to so many pixels a side, cut to a square around its middle"
    )
    path: str | None = Field(
        None, min_length=1, max_length=1000, description="instead of a file: a folder under the workers' data root"
    )


class Sizes(BaseModel):
    """Images in each part, or words. `valid` is 0 where every run holds out training images of its own."""

    train: int
    valid: int
    test: int


class ImageSize(BaseModel):
    """In pixels; channels: 1 for grey, 3 for colour."""

    height: int
    width: int
    channels: int


class SkippedFile(BaseModel):
    """A file that is not in the set."""

    file: str
    reason: str


class CheckReport(BaseModel):
    """What was left out of an upload (how many files, by cause, and the first of them by name), changed, or odd."""

    skipped: int
    causes: dict[str, int]
    files: list[SkippedFile]
    changes: dict[str, int] = Field({}, description="what was done to images that were taken, and to how many")
    warnings: list[str] = Field([], description="what may make the set other than it was meant")


class DatasetOut(BaseModel):
    """A data set that specs can name. What is not known yet, or of a failed one, is null."""

    name: str
    kind: Literal["images", "text", "unknown"] = Field(description="`unknown` until the check has told it")
    source: Literal["built-in", "upload", "path"]
    state: DatasetState
    classes: int | None = None
    class_names: list[str] | None = None
    sizes: Sizes | None = None
    image: ImageSize | None = None
    held_out: list[Literal["valid", "test"]] | None = Field(
        None, description="the parts that the upload did not bring: held out of its training images, always the same"
    )
    mean: list[float] | None = Field(None, description="of each channel of the training images, scaled to 0..1")
    std: list[float] | None = None
    words: int | None = Field(None, description="of a text: in its vocabulary, which is of the training part alone")
    unknown: Sizes | None = Field(None, description="of a text: words of each part that the vocabulary lacks")
    checksum: str | None = Field(None, description="sha256 of the packed set: the same images or words give the same")
    bytes: int | None = Field(None, description="of the packed set")
    preset: str
    availability: Availability | None = Field(
        None,
        description="of a published set, by the files that living workers have told of; null for an upload that is not "
        "ready",
    )
    held_by: list[str] | None = Field(
        None, description="living workers that hold a published set's files; null where none are needed"
    )
    error: str | None = Field(None, description="why a failed one cannot be used, and the way out")
    created_at: datetime | None = None
    checked_at: datetime | None = None


class DatasetDetail(DatasetOut):
    """One data set, with the report of its check."""

    report: CheckReport | None = None


class DatasetList(BaseModel):
    """The built-in data sets, then the uploaded ones, newest first."""

    items: list[DatasetOut]
