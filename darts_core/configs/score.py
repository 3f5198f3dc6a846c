"""The spec of a score: measuring a checkpoint on a data set's test images. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from darts_core.configs.common import Deterministic, Threads, dataset_problems, known_info
from darts_core.configs.decoder import Decoder, decoder_problems
from darts_core.data.catalogue import DatasetInfo
from darts_core.errors import ConfigError, Problem

CheckpointFormat = Literal["dartboard", "authors"]
CheckpointSource = Literal["evaluation", "search", "upload"]


class ScoringConfig(BaseModel):
    """How to measure a checkpoint. The checkpoint's classes and normalisation are used, not the data set's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["cnn"] = "cnn"
    dataset: str = Field(max_length=120, description="data set whose test images are measured", examples=["digits"])
    dataset_checksum: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="checksum of an uploaded set; filled in when the job is created"
    )
    decoder: Decoder = "pillow"
    batch_size: int = Field(256, ge=1, le=65_536, description="images per step; affects results by rounding only")
    threads: Threads = None
    deterministic: Deterministic = None


Deviation = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Mean = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


class TrainedOn(BaseModel):
    """The training data of a state_dict, as declared by its owner; the file does not record them.

    mean, std: per channel, of images scaled to 0..1. size: height and width in pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str | None = Field(None, max_length=120)
    dataset_checksum: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    classes: list[str] | None = None
    mean: list[Mean] | None = Field(None, min_length=1, max_length=1024)
    std: list[Deviation] | None = Field(None, min_length=1, max_length=1024)
    size: list[int] | None = None

    @model_validator(mode="after")
    def _check_normalisation(self) -> Self:
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise ValueError("mean and std go together, with one number a channel each")
        return self


class ScoredCheckpoint(BaseModel):
    """The measured file. The job holds its own copy, so deleting the original does not matter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: CheckpointSource
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    format: CheckpointFormat = "dartboard"
    genotype: dict[str, Any] | None = Field(
        None, description="cell of a file in the authors' format, which does not record it"
    )
    classes: int | None = Field(None, ge=1, description="number of classes of the network, if known")
    trained_on: TrainedOn | None = Field(
        None, description="training data of a file in the authors' format, as declared by its owner"
    )


class ScoreConfig(ScoringConfig):
    """A score of a known checkpoint."""

    checkpoint: ScoredCheckpoint
    epochs: Literal[1] = Field(1, description="one pass over the test images")

    def resolved(self, info: DatasetInfo | None = None) -> ScoreConfig:
        """Return the spec with every value filled in. info: of the data set, as in EvaluationConfig.

        Raises ConfigError for an unknown data set, and for one with another number of classes than the checkpoint's.
        """
        problems = dataset_problems(self.dataset, self.dataset_checksum, info)
        problems += decoder_problems(self.decoder, self.dataset)
        info = known_info({"dataset": self.dataset}, info)
        classes = self.checkpoint.classes
        if info is not None and classes is not None and info.classes != classes:
            message = f"{info.name} has {info.classes} classes, the checkpoint has {classes}"
            problems.append(Problem(("dataset",), message))
        if problems:
            raise ConfigError(problems)
        return self.model_copy(update={"dataset_checksum": info.checksum if info else self.dataset_checksum})
