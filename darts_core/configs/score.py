"""The spec of a score: a checkpoint, measured on a data set's test images. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.configs.common import dataset_problems, known_info
from darts_core.data.catalogue import DatasetInfo
from darts_core.errors import ConfigError, Problem

CheckpointFormat = Literal["dartboard", "authors"]


class ScoringConfig(BaseModel):
    """How to measure a checkpoint, whichever it is. Its own classes and normalisation hold, not the data set's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["cnn"] = "cnn"
    dataset: str = Field(max_length=120, description="its test images are measured", examples=["digits"])
    dataset_checksum: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of an uploaded set's content; filled in when the job is made"
    )
    batch_size: int = Field(256, ge=1, le=65_536, description="images at a time; no result depends on it but in bits")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; unset: one a core of the first worker")
    deterministic: bool | None = Field(
        None, description="bit-for-bit repeatable on the same hardware; unset: on a CPU yes, on a GPU no"
    )


class ScoredCheckpoint(BaseModel):
    """The file that is measured; it is the job's own copy, whatever becomes of where it was taken from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: Literal["evaluation", "search", "upload"]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    format: CheckpointFormat = "dartboard"
    genotype: dict[str, Any] | None = Field(None, description="of a file in the authors' format, which has none itself")
    classes: int | None = Field(None, ge=1, description="how many the network tells apart, where that is known")


class ScoreConfig(ScoringConfig):
    """A score, with the checkpoint known."""

    checkpoint: ScoredCheckpoint
    epochs: Literal[1] = Field(1, description="one pass over the test images")

    def resolved(self, info: DatasetInfo | None = None) -> ScoreConfig:
        """The same spec with every value filled in. info: of the data set, as in EvaluationConfig.

        Raises ConfigError for an unknown data set, and for one with another number of classes than the checkpoint's.
        """
        problems = dataset_problems(self.dataset, self.dataset_checksum, info)
        info = known_info({"dataset": self.dataset}, info)
        classes = self.checkpoint.classes
        if info is not None and classes is not None and info.classes != classes:
            message = f"{info.name} has {info.classes} classes, the checkpoint tells {classes} apart"
            problems.append(Problem(("dataset",), message))
        if problems:
            raise ConfigError(problems)
        return self.model_copy(update={"dataset_checksum": info.checksum if info else self.dataset_checksum})
