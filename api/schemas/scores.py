"""Scores on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.jobs import JobFrame, Number, Text
from darts_core.configs.rnn_score import RnnScoringConfig
from darts_core.configs.score import ScoringConfig
from darts_core.errors import ConfigError, Problem
from darts_core.primitives import Family

_SOURCES: Final = {"checkpoint_id", "evaluation_id", "search_id", "epoch"}
MOST_CLASSES: Final = 40_000
WhichEpoch = Annotated[str, StringConstraints(pattern=r"^(best|last|[1-9][0-9]{0,8})$")]


class ScoreCreate(JobFrame, ScoringConfig):
    """Ask for a checkpoint to be measured: an evaluation's, a search's, or any by its own id."""

    family: Family | None = Field(None, description="the checkpoint's own unless given")  # type: ignore[assignment]
    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="the one that the checkpoint was trained on unless given"
    )
    text_checksum: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of family rnn: of the text's content"
    )
    batch_size: int | None = Field(  # type: ignore[assignment]
        None,
        ge=1,
        le=65_536,
        description="images at a time; of family rnn columns that the text is cut into, as many as the checkpoint's "
        "own training tests with unless given",
    )
    checkpoint_id: UUID | None = Field(None, description="of an uploaded file, or of a job's")
    evaluation_id: UUID | None = None
    search_id: UUID | None = Field(None, description="its last network, with the alphas as they stand")
    epoch: WhichEpoch | None = Field(None, description="of an evaluation or a search: best, last or a number")

    def scoring(self, dataset: str, family: Family) -> dict[str, Any]:
        """The part of this family's spec that the body says. Raises ConfigError for a field of the other one."""
        config = RnnScoringConfig if family == "rnn" else ScoringConfig
        given = {name: getattr(self, name) for name in self.model_fields_set - JobFrame.model_fields.keys() - _SOURCES}
        given = {name: value for name, value in given.items() if value is not None}
        if others := sorted(given.keys() - config.model_fields.keys()):
            raise ConfigError([Problem((name,), f"is not for a checkpoint of family {family!r}") for name in others])
        return {**given, "dataset": dataset}


class ScoreResult(BaseModel):
    """What a score of images found besides its flat metrics."""

    model_config = ConfigDict(extra="forbid")

    images: int = Field(ge=0)
    classes: list[Text] = Field(max_length=MOST_CLASSES)
    per_class_accuracy: list[Number | None] = Field(
        max_length=MOST_CLASSES, description="in percent, in the classes' order; null for a class without test images"
    )
    confusion: list[Annotated[list[int], Field(max_length=100)]] | None = Field(
        max_length=100, description="rows: true classes, columns: what was said; null beyond 100 classes"
    )


class TextScoreResult(BaseModel):
    """What a score of a language model found besides its flat metrics."""

    model_config = ConfigDict(extra="forbid")

    words: int = Field(ge=0, description="that were foretold: one in each column has nothing before it")
    vocabulary: int = Field(ge=1, description="words that the model knows")
    unknown: int = Field(ge=0, description="of the words foretold: those it does not know, and foretells as `<unk>`")
    columns: int = Field(ge=1, description="that the text was cut into")
