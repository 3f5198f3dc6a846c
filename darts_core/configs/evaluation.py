"""The spec of an evaluation: a found cell, trained from scratch. Imports no torch."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from darts_core.configs.common import (
    EvenChannels,
    NonNegative,
    TrainingConfig,
    dataset_problems,
    part_size,
    split_problems,
)
from darts_core.configs.search import BatchSize
from darts_core.data.catalogue import BUILT_IN, preset_of
from darts_core.errors import ConfigError, GenotypeError, Problem
from darts_core.genotypes import Genotype, parse, to_json
from darts_core.presets import EVALUATION_PRESETS, preset_values


class RetrainingConfig(TrainingConfig):
    """How to train a cell from scratch, whichever it is. DARTS (arXiv:1806.09055), sections 3.2 and A.2."""

    epochs: int = Field(600, ge=1, le=100_000)
    batch_size: BatchSize = 96
    channels: EvenChannels = Field(36, description="of the first cells; doubled at each reduction")
    layers: int = Field(20, ge=3, le=100, description="cells, two of which are reduction cells")
    weight_lr_min: NonNegative = 0.0
    auxiliary: bool = Field(True, description="a second classifier after two thirds of the cells, in training only")
    auxiliary_weight: NonNegative = 0.4
    drop_path: float = Field(0.2, ge=0, lt=1, description="probability at the end; it grows linearly from 0")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    train_portion: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the training images to train on; the rest chooses the best epoch",
    )
    cutout: int = Field(16, ge=0, le=512, description="side in pixels of the square cut out; 0 for none")


class EvaluationConfig(RetrainingConfig):
    """Training of one genotype from scratch."""

    genotype: dict[str, Any] = Field(
        description="a known name, Python text, JSON or mmrazor YAML; stored as JSON", examples=["DARTS_V2"]
    )

    @field_validator("genotype", mode="before")
    @classmethod
    def _read_genotype(cls, value: Any) -> Any:
        if not isinstance(value, (str, dict)):
            raise ValueError("expected a known name, Python text, mmrazor YAML or a JSON object")
        try:
            return to_json(parse(value))
        except GenotypeError as error:
            raise ValueError(str(error)) from error

    def cell(self) -> Genotype:
        """The genotype to build."""
        return parse(self.genotype)

    def resolved(self) -> EvaluationConfig:
        """The same spec with every value filled in, from its preset where it says nothing itself.

        Raises ConfigError with everything that is wrong, field by field.
        """
        problems = dataset_problems(self.dataset)
        preset = self.preset or (preset_of(self.dataset) if not problems else "cifar10")
        values = {**preset_values(EVALUATION_PRESETS, preset), **self.given(), "preset": preset}
        problems += split_problems(values, {"training": values["train_portion"]})
        problems += _auxiliary_problems(values)
        if problems:
            raise ConfigError(problems)
        return EvaluationConfig(**values)

    def split_sizes(self, images: int) -> tuple[int, int]:
        """Images to train on and images to choose the best epoch by, out of `images`; the second may be 0."""
        training = part_size(images, self.train_portion)
        return training, images - training


def auxiliary_fits(image: int) -> bool:
    """Whether an image of this side leaves the auxiliary tower the 8x8 map that its two unpadded layers need.

    The tower stands behind both reductions, its pooling reads 5x5 (stride 3) and its second convolution 2x2.
    """
    return -(-image // 4) >= 8


def _auxiliary_problems(values: dict[str, Any]) -> list[Problem]:
    info = BUILT_IN.get(values["dataset"])
    if not values["auxiliary"] or info is None or auxiliary_fits(info.image):
        return []
    return [
        Problem(
            ("auxiliary",),
            f"needs images of at least 29x29 pixels, {info.name} has {info.image}x{info.image}",
        )
    ]
