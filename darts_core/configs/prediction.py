"""The spec of a prediction: one image classified, or one text continued, by a checkpoint. Imports no torch."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.configs.score import ScoredCheckpoint

MOST_SHOWN: Final = 100
MOST_WORDS: Final = 500


class PredictionConfig(BaseModel):
    """The checkpoint, as a version of a model, and how much to tell. dataset: its training data, if known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    model: str
    version: int
    dataset: str
    checkpoint: ScoredCheckpoint
    top: int = Field(ge=1, le=MOST_SHOWN)
    words: int = Field(ge=1, le=MOST_WORDS)
    epochs: Literal[1] = 1
