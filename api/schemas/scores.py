"""Defines the schemas of scores."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from api.schemas.jobs import JobFrame, Number, Text
from darts_core.configs.score import ScoringConfig
from darts_core.errors import ConfigError, Problem
from darts_core.families import FAMILIES
from darts_core.primitives import Family

_SOURCES: Final = {"checkpoint_id", "evaluation_id", "search_id", "epoch"}
MOST_CLASSES: Final = 40_000
WhichEpoch = Annotated[str, StringConstraints(pattern=r"^(best|last|[1-9][0-9]{0,8})$")]


class ScoreCreate(JobFrame, ScoringConfig):
    """Request to measure a checkpoint: an evaluation's, a search's, or any by its own id."""

    family: Family | None = Field(None, description="default: the checkpoint's")  # type: ignore[assignment]
    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="default: the checkpoint's training data"
    )
    text_checksum: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="family rnn: checksum of the text's content"
    )
    batch_size: int | None = Field(  # type: ignore[assignment]
        None,
        ge=1,
        le=65_536,
        description="images per batch; family rnn: columns that the text is split into, by default those of the "
        "checkpoint's training",
    )
    checkpoint_id: UUID | None = Field(None, description="of an uploaded file, or of a job's")
    evaluation_id: UUID | None = None
    search_id: UUID | None = Field(None, description="its last network with its alphas")
    epoch: WhichEpoch | None = Field(None, description="of an evaluation or a search: best, last or a number")

    def scoring(self, dataset: str, family: str) -> dict[str, Any]:
        """The request's values for this family's spec. Raises ConfigError for a field of another family."""
        config = FAMILIES[family].scoring
        given = {name: getattr(self, name) for name in self.model_fields_set - JobFrame.model_fields.keys() - _SOURCES}
        given = {name: value for name, value in given.items() if value is not None}
        if others := sorted(given.keys() - config.model_fields.keys()):
            raise ConfigError([Problem((name,), f"is not for a checkpoint of family {family!r}") for name in others])
        return {**given, "dataset": dataset}


class ScoreResult(BaseModel):
    """The structured result of a score of images."""

    model_config = ConfigDict(extra="forbid")

    images: int = Field(ge=0)
    classes: list[Text] = Field(max_length=MOST_CLASSES)
    per_class_accuracy: list[Number | None] = Field(
        max_length=MOST_CLASSES,
        description="in percent, in the order of `classes`; null for a class without test images",
    )
    confusion: list[Annotated[list[int], Field(max_length=100)]] | None = Field(
        max_length=100, description="rows: true classes, columns: predictions; null beyond 100 classes"
    )


class TextScoreResult(BaseModel):
    """The structured result of a score of a language model."""

    model_config = ConfigDict(extra="forbid")

    words: int = Field(ge=0, description="number of predicted words; the first of each column is not predicted")
    vocabulary: int = Field(ge=1, description="size of the model's vocabulary")
    unknown: int = Field(ge=0, description="predicted words outside the vocabulary, as `<unk>`")
    columns: int = Field(ge=1, description="number of columns that the text was split into")


def _measured(value: Any) -> str:
    """Discriminated by a field of one model, since trying both would report the errors of both."""
    names = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return "text" if "words" in names else "images"


AnyScoreResult = Annotated[
    Annotated[ScoreResult, Tag("images")] | Annotated[TextScoreResult, Tag("text")], Discriminator(_measured)
]
