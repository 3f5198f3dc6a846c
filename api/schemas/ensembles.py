"""Defines the schemas of ensembles."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.jobs import JobFrame, Number, Table, Text
from api.schemas.scores import MOST_CLASSES, WhichEpoch
from darts_core.configs.ensemble import COMBINE, MOST_MEMBERS, Combine, Selection
from darts_core.configs.score import ScoringConfig
from darts_core.errors import ConfigError, Problem
from darts_core.families import FAMILIES
from darts_core.primitives import Family

# Resolved rather than copied: members become checkpoints, and a curve becomes a list of epochs.
_RESOLVED: Final = {"members", "curve"}


class MemberCreate(BaseModel):
    """A member: an evaluation, a checkpoint by its own id, or a score, whose logits are reused."""

    model_config = ConfigDict(extra="forbid")

    evaluation_id: UUID | None = None
    checkpoint_id: UUID | None = Field(None, description="of an uploaded file, or of a job's")
    score_id: UUID | None = Field(None, description="of a successful score on the same data")
    epoch: WhichEpoch | None = Field(None, description="of an evaluation: best (default), last or a number")


class Ensembling(ScoringConfig):
    """How networks are measured together."""

    family: Family | None = Field(None, description="default: the members'")  # type: ignore[assignment]
    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="the data set whose test part is measured; default: the members'"
    )
    text_checksum: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="family rnn: checksum of the text's content"
    )
    batch_size: int | None = Field(  # type: ignore[assignment]
        None,
        ge=1,
        le=65_536,
        description="images per batch; family rnn: columns that the text is split into, by default those of the first "
        "member's training or score",
    )
    combine: Combine | None = Field(
        None, description=f"{COMBINE}. Default: sum; family rnn: mean, since logits are not summed"
    )
    select: Selection | None = Field(None, description="choose the best members on validation data")
    curve: bool = Field(
        False,
        description="also combine epoch by epoch; requires that all members are evaluations that kept checkpoints",
    )

    def ensemble(self, dataset: str, family: str) -> dict[str, Any]:
        """The request's values for this family's spec. Raises ConfigError for a field of another family."""
        config = FAMILIES[family].measured["ensemble"]
        given = {name: getattr(self, name) for name in self.model_fields_set - JobFrame.model_fields.keys() - _RESOLVED}
        given = {name: value for name, value in given.items() if value is not None}
        problems = [
            Problem((name,), f"is not for members of family {family!r}")
            for name in sorted(given.keys() - config.model_fields.keys())
        ]
        possible = get_args(config.model_fields["combine"].annotation)
        if self.combine is not None and self.combine not in possible:
            message = f"is not for members of family {family!r}: give {' or '.join(possible)}"
            problems.append(Problem(("combine",), message))
        if problems:
            raise ConfigError(problems)
        return {**given, "dataset": dataset}


class EnsembleCreate(JobFrame, Ensembling):
    """Request to measure trained networks together."""

    members: list[MemberCreate] = Field(min_length=2, max_length=MOST_MEMBERS)


Figures = Annotated[dict[str, Number], Field(max_length=100)]


class PartOut(BaseModel):
    """The data that figures refer to."""

    model_config = ConfigDict(extra="forbid")

    part: Literal["test", "valid"] = Field(description="part of the data set")
    count: int = Field(ge=0, description="number of images, or of predicted words")
    of: int = Field(ge=0, description="size of the part")


class MemberResult(BaseModel):
    """One member, chosen or not."""

    model_config = ConfigDict(extra="forbid")

    epoch: int
    chosen: bool
    weight: Number
    test: Figures
    validation: Figures | None


class TogetherResult(BaseModel):
    """Several members combined."""

    model_config = ConfigDict(extra="forbid")

    test: Figures
    validation: Figures | None


class StepResult(BaseModel):
    """One step of the selection: the added member and the validation figures of all members so far, equally
    weighted.
    """

    model_config = ConfigDict(extra="forbid")

    member: int
    validation: Figures


class PointResult(BaseModel):
    """One epoch of every member, and their combination."""

    model_config = ConfigDict(extra="forbid")

    epoch: int
    members: list[Figures] = Field(max_length=MOST_MEMBERS)
    committee: Figures


class EnsembleResult(BaseModel):
    """The result of an ensemble. Members are in the order of the spec, numbered from 0."""

    model_config = ConfigDict(extra="forbid")

    test: PartOut = Field(description="the data of all `test` figures")
    validation: PartOut | None = Field(description="the data of the selection, the fit and all `validation` figures")
    members: list[MemberResult] = Field(max_length=MOST_MEMBERS)
    committee: TogetherResult
    plain: TogetherResult = Field(
        description="all members, equally weighted: the sum of their logits; for language models, the mean of their "
        "probabilities"
    )
    gain: Number = Field(
        description="over the member that is best on the test part, in points of accuracy; for language models, in "
        "perplexity; negative if the committee is worse"
    )
    disagreement: Table | None = Field(
        max_length=MOST_MEMBERS,
        description="percentage of test images that each two members classify differently; null for texts",
    )
    selection: list[StepResult] | None = Field(max_length=MOST_MEMBERS)
    curve: list[PointResult] | None = Field(max_length=10_000)
    classes: list[Text] | None = Field(max_length=MOST_CLASSES)
    vocabulary: int | None = Field(description="size of the language models' vocabulary")
