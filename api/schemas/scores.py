"""Scores on the wire."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.jobs import JobFrame, Number, Text
from darts_core.configs.score import ScoringConfig

WhichEpoch = Annotated[str, StringConstraints(pattern=r"^(best|last|[1-9][0-9]{0,8})$")]


class ScoreCreate(JobFrame, ScoringConfig):
    """Ask for a checkpoint to be measured: an evaluation's, a search's, or any by its own id."""

    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="the one that the checkpoint was trained on unless given"
    )
    checkpoint_id: UUID | None = Field(None, description="of an uploaded file, or of a job's")
    evaluation_id: UUID | None = None
    search_id: UUID | None = Field(None, description="its last network, with the alphas as they stand")
    epoch: WhichEpoch | None = Field(None, description="of an evaluation or a search: best, last or a number")

    def scoring(self, dataset: str) -> ScoringConfig:
        """The part of the spec that this body says."""
        given = {name: getattr(self, name) for name in self.model_fields_set if name in ScoringConfig.model_fields}
        return ScoringConfig(**{**given, "dataset": dataset})


class ScoreResult(BaseModel):
    """What a score found besides its flat metrics."""

    model_config = ConfigDict(extra="forbid")

    images: int = Field(ge=0)
    classes: list[Text]
    per_class_accuracy: list[Number | None] = Field(
        description="in percent, in the classes' order; null for a class without test images"
    )
    confusion: list[list[int]] | None = Field(
        description="rows: true classes, columns: what was said; null beyond 100 classes"
    )
