"""Fields and validators shared by the specs of training jobs. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.configs.decoder import Decoder
from darts_core.configs.extensions import Extensions
from darts_core.configs.init_from import Start
from darts_core.data.catalogue import BUILT_IN, FOLDER_PREFIX, DatasetInfo, folder_of, is_plain_name
from darts_core.errors import ConfigError, DataError, Problem
from darts_core.models.layout import Stem, reduction_layers, stem_for

# JSON has no infinity, and no hyper-parameter needs one.
Rate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=0, le=1)]
CellNumber = Annotated[int, Field(ge=0, lt=100)]
Hue = Annotated[float, Field(ge=0, le=0.5)]
Threads = Annotated[
    int | None, Field(ge=1, le=1024, description="number of CPU threads; default: one per core of the first worker")
]
Deterministic = Annotated[
    bool | None, Field(description="bit-for-bit repeatable on the same hardware; default: on a CPU only")
]
Channels = Annotated[int, Field(ge=2, le=1024)]
# BatchNorm has no variance on a single image.
SMALLEST_SHARE: Final = 2
_FEWEST_STEPS: Final = 4
# Of a node behind the last reduction; far above any published network.
MOST_CHANNELS: Final = 65_536


class RunConfig(BaseModel):
    """Fields of every training job of either family."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    if TYPE_CHECKING:  # each family has these with its own types and defaults
        family: str
        epochs: int

    preset: str | None = Field(
        None, max_length=60, description="preset of unset values; chosen by the data set by default"
    )
    preset_version: int | None = Field(None, ge=1, description="version of the preset; the latest by default")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of weights, alphas, data order and augmentation")
    precision: Literal["float32", "bf16", "float64"] | None = Field(
        None,
        description="precision of activations; weights are float32, with float64 (slow, for comparisons) float64 as "
        "well. Default: bf16 on a GPU that supports it, else float32",
    )
    tf32: bool | None = Field(
        None, description="allow a GPU to round float32 factors to 10 bits; default: unless deterministic"
    )
    threads: Threads = None
    deterministic: Deterministic = None
    extensions: Extensions = []
    init_from: Start = None
    checkpoint_every: int | None = Field(
        None, ge=1, le=100_000, description="keep every k-th epoch's checkpoint, besides the best and the last"
    )
    checkpoint_seconds: float = Field(
        600.0,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="within an epoch, save a checkpoint to resume from at this interval",
    )

    def resolved(self, info: Any = None) -> RunConfig:
        """The same spec with every value filled in. info: of an uploaded data set. Raises ConfigError."""
        raise NotImplementedError

    def epochs_in(self, epoch: int) -> int:
        """The number of epochs by which schedules go in this epoch, counted from 1."""
        return next((one.epochs for one in self.extensions if epoch <= one.after), self.epochs)

    def check_gpus(self, gpus: int) -> None:
        """Raises ConfigError where the job cannot run on so many GPUs. Of a resolved spec."""
        raise NotImplementedError

    def given(self) -> dict[str, Any]:
        """Names of the fields that were set explicitly."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def given_values(self) -> dict[str, Any]:
        """Explicitly set values that override the preset; an unset preset or preset version is left out."""
        open_fields = {name for name in ("preset", "preset_version") if getattr(self, name) is None}
        return {name: value for name, value in self.given().items() if name not in open_fields}


class TrainingConfig(RunConfig):
    """Fields of every training job on images. Defaults are those of the `cifar10` presets."""

    family: Literal["cnn"] = "cnn"
    dataset: str = Field(
        max_length=120,
        description="a built-in set, an uploaded one, or `folder:NAME` for class folders under the workers' data root",
        examples=["digits"],
    )
    dataset_checksum: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="checksum of an uploaded set; filled in when the job is created, so that the job keeps its data",
    )
    decoder: Decoder = "pillow"
    stem: Stem | None = Field(
        None,
        description="`cifar` keeps the image's size, `half` halves it, `imagenet` divides it by eight; chosen by the "
        "image size by default",
    )
    reductions: list[CellNumber] | None = Field(
        None,
        max_length=100,
        description="indices of the cells that halve the map and double the channels; by default at a third and two "
        "thirds of `layers`",
        examples=[[2, 5]],
    )
    weight_lr: Rate = 0.025
    weight_lr_min: NonNegative = Field(0.001, description="minimum of `weight_lr`, where cosine ends")
    schedule: Literal["cosine", "step"] = Field("cosine", description="decay of `weight_lr`, epoch by epoch")
    schedule_factor: float = Field(0.97, gt=0, le=1, description="of `step`: factor of `weight_lr`")
    schedule_every: int = Field(1, ge=1, le=100_000, description="of `step`: number of epochs between two decays")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: NonNegative = 3e-4
    grad_clip: Rate = Field(5.0, description="maximum norm of the weights' gradient")
    crop_padding: int = Field(4, ge=0, le=64, description="pixels of zero padding before the random crop")
    flip: bool = Field(True, description="mirror half of the training images")
    resized_crop: bool = Field(
        False, description="train on a random crop of each image, scaled to full size (8 to 100 % of its area)"
    )
    colour_jitter: tuple[Strength, Strength, Strength, Hue] = Field(
        (0.0, 0.0, 0.0, 0.0), description="strength of random changes of brightness, contrast, saturation and hue"
    )
    cutout: int = Field(0, ge=0, le=512, description="side in pixels of the cutout square; 0 for none")
    accumulate: int = Field(
        1, ge=1, le=1024, description="number of parts in which a batch is computed, to save memory"
    )


def accumulation_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Check that each part of a batch has enough images for BatchNorm."""
    accumulate, batch_size = values.get("accumulate", 1), values["batch_size"]
    if accumulate == 1 or SMALLEST_SHARE * accumulate <= batch_size:
        return []
    most = batch_size // SMALLEST_SHARE
    message = f"{accumulate} parts leave less than {SMALLEST_SHARE} images of a batch of {batch_size}; at most {most}"
    return [Problem(("accumulate",), message)]


def reduction_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Check that the reduction cells exist, and that the final width can be built."""
    reductions, layers = values.get("reductions"), values["layers"]
    if reductions is None:
        return []
    if len(set(reductions)) != len(reductions):
        return [Problem(("reductions",), "each cell can be named once")]
    if beyond := [cell for cell in reductions if cell >= layers]:
        return [Problem(("reductions",), f"there is no cell {beyond[0]}: {layers} layers are numbered from 0")]
    width = values["channels"] * 2 ** len(reductions)
    if width > MOST_CHANNELS:
        message = f"{len(reductions)} of them widen {values['channels']} channels to {width:,}"
        return [Problem(("reductions",), f"{message}; at most {MOST_CHANNELS:,}")]
    return []


def channel_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Check that no factorized reduction has an odd number of channels, which it would compute in two halves.

    Reduction cells and those behind them have an even number. Behind the `imagenet` stem, the first cell has one, too.
    """
    layers = values["layers"] + max(values.get("stage_added_layers") or [0])
    reduces = 0 in reduction_layers(layers, values.get("reductions"))
    if values.get("stem") != "imagenet" or reduces or values["channels"] % 2 == 0:
        return []
    message = f"must be even behind the stem 'imagenet', not {values['channels']}: the first cell halves them"
    return [Problem(("channels",), message)]


def fill_stem(values: dict[str, Any], info: DatasetInfo | None) -> None:
    """Choose the stem from the image size unless the spec sets it or the size is unknown."""
    if values.get("stem") is None and info is not None:
        values["stem"] = stem_for(info.side)


def known_info(config: Mapping[str, Any], info: DatasetInfo | None) -> DatasetInfo | None:
    """Describe the spec's data set: from the caller's `info`, else from the catalogue.

    None for a set that only a worker can open; the worker then checks its sizes.
    """
    return info or BUILT_IN.get(config["dataset"])


def dataset_problems(dataset: str, checksum: str | None, info: DatasetInfo | None) -> list[Problem]:
    """Validate the data set's name and checksum.

    A name that neither the catalogue nor `info` knows denotes an uploaded set and needs its checksum.
    """
    if info is None and checksum is None:
        try:
            folder_of(dataset)
        except DataError as error:
            return [Problem(("dataset",), str(error))]
        return []
    if info is None:
        if dataset in BUILT_IN or dataset.startswith(FOLDER_PREFIX):
            return [Problem(("dataset_checksum",), f"is for uploaded data sets; {dataset} is not one")]
        return [] if is_plain_name(dataset) else [Problem(("dataset",), f"{dataset!r} is not the name of a data set")]
    if checksum not in (None, info.checksum):
        message = f"{dataset} is now {info.checksum or 'a built-in set'}, not {checksum}: leave it out to use that"
        return [Problem(("dataset_checksum",), message)]
    return []


def split_problems(batch_size: int, parts: Mapping[str, float], info: DatasetInfo | None) -> list[Problem]:
    """Check that a batch fits in each part (a share of the training images) of a data set of known size."""
    if info is None:
        return []  # only the worker knows the size, and checks again
    problems = []
    for name, share in parts.items():
        size = part_size(info.train, share)
        if batch_size > size:
            larger = f"{batch_size} is larger than the {size:,} {name} images of {info.name}"
            problems.append(Problem(("batch_size",), f"{larger}; {_way_out(size)}"))
    return problems


def fitting_batch(batch_size: int, parts: Mapping[str, float], info: DatasetInfo) -> int:
    """A preset's batch size for this data set.

    Where a part has fewer images than a batch: the largest power of two that gives it _FEWEST_STEPS batches or more.
    """
    smallest = min(part_size(info.train, share) for share in parts.values())
    if batch_size <= smallest:
        return batch_size
    images = max(SMALLEST_SHARE, smallest // _FEWEST_STEPS)
    return 1 << (images.bit_length() - 1)


def _way_out(size: int) -> str:
    if size < SMALLEST_SHARE:
        return f"a batch has at least {SMALLEST_SHARE}: these are too few images, use a larger data set"
    return f"give at most {size:,}"


def check_shares(batch_size: int, gpus: int) -> None:
    """Raise ConfigError when a batch cannot be split evenly over the devices."""
    least = SMALLEST_SHARE * gpus
    if batch_size % gpus or batch_size < least:
        message = f"{batch_size} images cannot be shared by {gpus} GPUs: give a multiple of {gpus}, at least {least}"
        raise ConfigError([Problem(("batch_size",), message)])


def check_single(gpus: int) -> None:
    """Raise ConfigError for more than one GPU: recurrent cells train on a single device."""
    if gpus != 1:
        raise ConfigError([Problem(("gpus",), f"recurrent cells train on one GPU, not on {gpus}")])


def part_size(images: int, share: float) -> int:
    """Number of images in a leading part: `share` of them, rounded down."""
    return math.floor(images * share)
