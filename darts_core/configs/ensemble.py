"""The spec of an ensemble of trained networks. Imports no torch."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.configs.common import dataset_problems, known_info
from darts_core.configs.decoder import decoder_problems
from darts_core.configs.score import ScoredCheckpoint, ScoringConfig
from darts_core.data.catalogue import DatasetInfo
from darts_core.errors import ConfigError, Problem

MOST_MEMBERS: Final = 64
Combine = Literal["sum", "mean", "fitted"]
COMBINE: Final = (
    "sum: of logits. mean: of probabilities. fitted: of probabilities, with the weights that fit the validation data "
    "best"
)


class Selection(BaseModel):
    """Forward selection: start with the best member and repeatedly add the one that helps most on validation data.

    Caruana et al., Ensemble selection from libraries of models (ICML 2004), without replacement.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    best: int = Field(
        ge=1, le=MOST_MEMBERS, description="maximum number of members; selection stops earlier when no member helps"
    )


class EnsembleMember(ScoredCheckpoint):
    """One member: its checkpoint and its origin.

    Its file is the job's input `member-I.pt`, I being its index in the list.
    """

    name: str | None = Field(None, description="name of the job that it comes from")
    job_id: str | None = None
    score_id: str | None = Field(None, description="score whose logits on the test part are used")
    epoch: int | None = Field(None, ge=0)


class Combining(BaseModel):
    """Fields shared by the ensemble specs of both families."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: list[EnsembleMember] = Field(min_length=2, max_length=MOST_MEMBERS)
    combine: Combine = Field("sum", description=COMBINE)
    select: Selection | None = None
    curve: list[int] | None = Field(
        None, description="epochs of which every member kept a checkpoint, to be combined epoch by epoch"
    )
    epochs: Literal[1] = Field(1, description="an ensemble is measured in one pass")

    @property
    def validated(self) -> bool:
        """Whether members or weights are chosen, which needs data besides those of the report."""
        return self.select is not None or self.combine == "fitted"


def file_of(place: int, epoch: int | None = None) -> str:
    """The name of a member's checkpoint among the job's inputs; with `epoch`, of that epoch's checkpoint."""
    return f"member-{place}.pt" if epoch is None else f"member-{place}-epoch-{epoch}.pt"


def logits_of(place: int) -> str:
    """The name, among the job's inputs, of the logits stored by a member's score."""
    return f"member-{place}.safetensors"


class EnsembleConfig(ScoringConfig, Combining):
    """Convolutional networks, measured together on a data set's test images."""

    def resolved(self, info: DatasetInfo | None = None) -> EnsembleConfig:
        """Return the spec with every value filled in. info: of the data set, as in EvaluationConfig.

        Raises ConfigError for an unknown data set, and for each member with another number of classes.
        """
        problems = dataset_problems(self.dataset, self.dataset_checksum, info)
        problems += decoder_problems(self.decoder, self.dataset)
        info = known_info({"dataset": self.dataset}, info)
        if info is not None:
            problems += [
                Problem(
                    ("members", place),
                    f"has {member.classes} classes, {info.name} has {info.classes}: members need the same classes",
                )
                for place, member in enumerate(self.members)
                if member.classes not in (None, info.classes)
            ]
        if problems:
            raise ConfigError(problems)
        return self.model_copy(update={"dataset_checksum": info.checksum if info else self.dataset_checksum})
