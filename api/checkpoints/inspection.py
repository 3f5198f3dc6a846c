"""Defines what the inspection of an uploaded checkpoint is told and finds.

Apart from the inspection, whose child process alone needs the readers of checkpoints in its memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from darts_core.configs.score import CheckpointFormat


@dataclass(frozen=True)
class Examined:
    """The contents of a checkpoint. Fields are None if the file does not state them.

    dataset_checksum: of the data set's content. classes, words: counts; words are those of a language model's
    vocabulary. genotype: JSON. For a state_dict of images: normalisation {mean, std}, trained_on (as stated by the
    owner) and remarks (assumptions about fields that the owner did not state).
    """

    format: CheckpointFormat
    family: str
    dataset: str | None
    dataset_checksum: str | None
    classes: int | None
    words: int | None
    genotype: dict[str, Any] | None
    normalisation: dict[str, list[float]] | None = None
    trained_on: dict[str, Any] | None = None
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Text:
    """The text whose vocabulary a language model's state_dict has. checksum, words: None if only a worker knows
    them.
    """

    dataset: str
    checksum: str | None
    words: int | None


@dataclass(frozen=True)
class Told:
    """The owner's statements about the data of a state_dict. dataset: its name, which may be of a text or of images.

    images: the fields of darts_core's TrainedOn.
    """

    dataset: str | None = None
    text: Text | None = None
    images: dict[str, Any] | None = None
