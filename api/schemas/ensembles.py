"""Ensembles on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.jobs import JobFrame, Number, Table, Text
from api.schemas.scores import MOST_CLASSES, WhichEpoch
from darts_core.configs.ensemble import COMBINE, MOST_MEMBERS, Combine, EnsembleConfig, Selection
from darts_core.configs.rnn_ensemble import RnnEnsembleConfig
from darts_core.configs.score import ScoringConfig
from darts_core.errors import ConfigError, Problem
from darts_core.primitives import Family

# Resolved from the body, not taken over: a member's name becomes a checkpoint, a wish for a curve its epochs.
_RESOLVED: Final = {"members", "curve"}


class MemberCreate(BaseModel):
    """Who takes part: an evaluation, any checkpoint by its own id, or a score, whose logits are then used again."""

    model_config = ConfigDict(extra="forbid")

    evaluation_id: UUID | None = None
    checkpoint_id: UUID | None = Field(None, description="of an uploaded file, or of a job's")
    score_id: UUID | None = Field(None, description="of a score that has ended, on the same data")
    epoch: WhichEpoch | None = Field(None, description="of an evaluation: best (unless given), last or a number")


class Ensembling(ScoringConfig):
    """How networks are measured together, whichever they are."""

    family: Family | None = Field(None, description="the members' own unless given")  # type: ignore[assignment]
    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="its test part is measured; the members' own unless given"
    )
    text_checksum: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of family rnn: of the text's content"
    )
    batch_size: int | None = Field(  # type: ignore[assignment]
        None,
        ge=1,
        le=65_536,
        description="images at a time; of family rnn columns that the text is cut into, as many as the first member's "
        "own training or score tests with unless given",
    )
    combine: Combine | None = Field(
        None, description=f"{COMBINE}. sum unless given; of family rnn mean, where logits are not summed"
    )
    select: Selection | None = Field(None, description="choose the best members on validation data")
    curve: bool = Field(
        False, description="also combine epoch by epoch, where all members are evaluations that kept checkpoints"
    )

    def ensemble(self, dataset: str, family: Family) -> dict[str, Any]:
        """The part of this family's spec that the body says. Raises ConfigError for a field of the other one."""
        config = RnnEnsembleConfig if family == "rnn" else EnsembleConfig
        given = {name: getattr(self, name) for name in self.model_fields_set - JobFrame.model_fields.keys() - _RESOLVED}
        given = {name: value for name, value in given.items() if value is not None}
        problems = [
            Problem((name,), f"is not for members of family {family!r}")
            for name in sorted(given.keys() - config.model_fields.keys())
        ]
        if family == "rnn" and self.combine == "sum":
            problems.append(Problem(("combine",), "language models are mixed: give mean or fitted"))
        if problems:
            raise ConfigError(problems)
        return {**given, "dataset": dataset}


class EnsembleCreate(JobFrame, Ensembling):
    """Ask for trained networks to be measured together."""

    members: list[MemberCreate] = Field(min_length=2, max_length=MOST_MEMBERS)


Figures = Annotated[dict[str, Number], Field(max_length=100)]


class PartOut(BaseModel):
    """What figures are of."""

    model_config = ConfigDict(extra="forbid")

    part: Literal["test", "valid"] = Field(description="of the data set")
    count: int = Field(ge=0, description="images, or words foretold")
    of: int = Field(ge=0, description="that the part has")


class MemberResult(BaseModel):
    """One member, chosen or not."""

    model_config = ConfigDict(extra="forbid")

    epoch: int
    chosen: bool
    weight: Number
    test: Figures
    validation: Figures | None


class TogetherResult(BaseModel):
    """Several members as one."""

    model_config = ConfigDict(extra="forbid")

    test: Figures
    validation: Figures | None


class StepResult(BaseModel):
    """A step of the selection: who came, and how good all so far are on the validation data, equally weighed."""

    model_config = ConfigDict(extra="forbid")

    member: int
    validation: Figures


class PointResult(BaseModel):
    """One epoch of every member, and combined."""

    model_config = ConfigDict(extra="forbid")

    epoch: int
    members: list[Figures] = Field(max_length=MOST_MEMBERS)
    committee: Figures


class EnsembleResult(BaseModel):
    """What an ensemble found. Members stand in the order of the spec, numbered from 0."""

    model_config = ConfigDict(extra="forbid")

    test: PartOut = Field(description="what all `test` figures are of")
    validation: PartOut | None = Field(description="what was chosen and fitted by, and all `validation` figures are of")
    members: list[MemberResult] = Field(max_length=MOST_MEMBERS)
    committee: TogetherResult
    plain: TogetherResult = Field(
        description="all members, equally weighed: the sum of their logits, of language models the mean of their "
        "probabilities"
    )
    gain: Number = Field(
        description="over the member that is best on the test part: in points of accuracy, of language models in "
        "perplexity; negative where the committee is worse"
    )
    disagreement: Table | None = Field(
        max_length=MOST_MEMBERS,
        description="for each two members the percent of test images that they name differently; null of texts",
    )
    selection: list[StepResult] | None = Field(max_length=MOST_MEMBERS)
    curve: list[PointResult] | None = Field(max_length=10_000)
    classes: list[Text] | None = Field(max_length=MOST_CLASSES)
    vocabulary: int | None = Field(description="words that language models know")
