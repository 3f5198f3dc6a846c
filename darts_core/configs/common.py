"""What the specs of all convolutional jobs share. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.data.catalogue import BUILT_IN, folder_of
from darts_core.errors import DataError, Problem

# JSON knows no infinity, and no hyper-parameter needs one.
Rate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
# FactorizedReduce splits the channels in two halves: odd counts cannot be built.
EvenChannels = Annotated[int, Field(ge=2, le=1024, multiple_of=2)]


class TrainingConfig(BaseModel):
    """Fields of every training job on images. Defaults are those of the `cifar10` presets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["cnn"] = "cnn"
    dataset: str = Field(
        max_length=120,
        description="`digits`, `cifar10`, or `folder:NAME` for class folders under the workers' data root",
        examples=["digits"],
    )
    preset: str | None = Field(
        None, max_length=60, description="where unset values come from; chosen by the data set unless given"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of weights, alphas, data order and augmentation")
    weight_lr: Rate = 0.025
    weight_lr_min: NonNegative = Field(0.001, description="where the cosine schedule of `weight_lr` ends")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: NonNegative = 3e-4
    grad_clip: Rate = Field(5.0, description="largest norm of the weights' gradient")
    crop_padding: int = Field(4, ge=0, le=64, description="pixels of zero padding before the random crop")
    flip: bool = Field(True, description="mirror half of the training images")
    cutout: int = Field(0, ge=0, le=512, description="side in pixels of the square cut out; 0 for none")
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads to compute with; unset: one a core of the first worker"
    )
    deterministic: bool | None = Field(
        None, description="bit-for-bit repeatable on the same hardware; unset: on a CPU yes, on a GPU no"
    )

    def given(self) -> dict[str, Any]:
        """The fields somebody set, as opposed to those that fell to their default."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def dataset_problems(dataset: str) -> list[Problem]:
    """What is wrong with the data set's name, if anything."""
    try:
        folder_of(dataset)
    except DataError as error:
        return [Problem(("dataset",), str(error))]
    return []


def split_problems(config: Mapping[str, Any], parts: Mapping[str, float]) -> list[Problem]:
    """Whether a batch fits in each part (a share of the training images) of a data set whose size is known."""
    info = BUILT_IN.get(config["dataset"])
    if info is None:
        return []  # a folder's size is known to the worker alone: it checks again
    problems = []
    for name, share in parts.items():
        size = part_size(info.train, share)
        if config["batch_size"] > size:
            problems.append(
                Problem(
                    ("batch_size",),
                    f"{config['batch_size']} is larger than the {size:,} {name} images of {info.name}; "
                    f"give at most {size:,}",
                )
            )
    return problems


def part_size(images: int, share: float) -> int:
    """Images in a leading part: `share` of them, rounded down."""
    return math.floor(images * share)
