"""The spec of an evaluation: retraining a cell from scratch. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from darts_core.configs.common import (
    Channels,
    NonNegative,
    TrainingConfig,
    accumulation_problems,
    channel_problems,
    check_shares,
    dataset_problems,
    fill_stem,
    fitting_batch,
    known_info,
    part_size,
    reduction_problems,
    split_problems,
)
from darts_core.configs.decoder import decoder_problems
from darts_core.configs.drawn_cell import genotype_json, with_drawn_cell
from darts_core.configs.extensions import extension_problems
from darts_core.configs.init_from import fill_start
from darts_core.configs.nasbench201 import LACKING, STEM, nasbench201_problems
from darts_core.configs.search import BatchSize
from darts_core.data.catalogue import DatasetInfo, preset_of
from darts_core.errors import ConfigError, Problem
from darts_core.genotypes import ConvolutionalGenotype, NasBench201Genotype, parse
from darts_core.models.layout import Stem, least_auxiliary_image, reduction_layers
from darts_core.presets.cnn import EVALUATION_PRESETS, preset_of_space, preset_values
from darts_core.spaces import SPACES
from darts_core.spaces.nasbench201 import NAME as NASBENCH201


class RetrainingConfig(TrainingConfig):
    """Hyper-parameters of retraining, without the genotype. DARTS (arXiv:1806.09055), sections 3.2 and A.2."""

    epochs: int = Field(600, ge=1, le=100_000)
    batch_size: BatchSize = 96
    channels: Channels = Field(36, description="channels of the first cells; doubled at each reduction")
    layers: int = Field(20, ge=1, le=100, description="number of cells, including `reductions`")
    weight_lr_min: NonNegative = 0.0
    auxiliary: bool = Field(True, description="a second classifier after two thirds of the cells, in training only")
    auxiliary_weight: NonNegative = 0.4
    drop_path: float = Field(0.2, ge=0, lt=1, description="final probability; it grows linearly from 0")
    edge_skips: bool = Field(
        False,
        description="add a skip-connection to each edge; by default where the cell's search had them, as in the spaces "
        "`bench-*-all-skip`",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    train_portion: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the training images to train on; the rest selects the best epoch, unless the data set "
        "has validation images",
    )
    nesterov: bool = Field(False, description="Nesterov's momentum for the weights")
    cuda_graph: bool = Field(
        True,
        description="on a GPU, record the step once and launch it as a CUDA graph: the same bits, without the launch "
        "of thousands of kernels; false: kernel by kernel",
    )
    compile_cells: bool = Field(
        False,
        description="compile the cells' training passes with torch.compile: minutes before the first step, fewer "
        "passes over memory in each; on one GPU alone. The numbers differ from those of called cells by rounding",
    )
    cutout: int = Field(16, ge=0, le=512, description="side in pixels of the cutout square; 0 for none")

    def check_gpus(self, gpus: int) -> None:
        """Raises ConfigError where the GPUs cannot share every batch."""
        check_shares(self.batch_size, gpus)
        if self.compile_cells and gpus > 1:
            raise ConfigError([Problem(("compile_cells",), f"is for one GPU, not {gpus}: leave it out")])


class EvaluationConfig(RetrainingConfig):
    """Retraining of one genotype from scratch."""

    genotype: dict[str, Any] = Field(
        description="a known name, Python text, JSON, mmrazor YAML, a string or six digits of NAS-Bench-201, or "
        "`random`; stored as JSON",
        examples=["DARTS_V2"],
    )

    @model_validator(mode="before")
    @classmethod
    def _draw_genotype(cls, values: Any) -> Any:
        return with_drawn_cell(values, "cnn")

    @field_validator("genotype", mode="before")
    @classmethod
    def _read_genotype(cls, value: Any) -> Any:
        accepted = "a known name, Python text, mmrazor YAML, a cell of NAS-Bench-201 or a JSON object"
        return genotype_json(value, "cnn", accepted)

    def cell(self) -> ConvolutionalGenotype:
        return parse(self.genotype)

    def resolved(self, info: DatasetInfo | None = None) -> EvaluationConfig:
        """Return the spec with every value filled in; unset values come from its preset.

        info: of the data set, required for an uploaded one. Raises ConfigError with every problem, field by field.
        """
        problems = dataset_problems(self.dataset, self.dataset_checksum, info)
        preset = self.preset or preset_of(self.dataset, EVALUATION_PRESETS)
        in_nasbench201 = isinstance(self.cell(), NasBench201Genotype)
        if in_nasbench201 and self.preset is None:
            preset = preset_of_space(EVALUATION_PRESETS, preset, NASBENCH201)
        values = preset_values(EVALUATION_PRESETS, preset, self.preset_version)
        if in_nasbench201:
            values |= {**SPACES[NASBENCH201].fields, **LACKING, "stem": STEM}
        values |= self.given_values()
        info = known_info(values, info)
        values["dataset_checksum"] = info.checksum if info else self.dataset_checksum
        if info is not None:
            fill_stem(values, info)
            values |= _fitting(values, info, self.model_fields_set)
        problems += decoder_problems(self.decoder, self.dataset)
        problems += accumulation_problems(values)
        problems += extension_problems(values)
        problems += fill_start(values)
        problems += reduction_problems(values)
        problems += channel_problems(values)
        problems += split_problems(values["batch_size"], _parts(values["train_portion"]), info)
        problems += nasbench201_problems(values) if in_nasbench201 else _auxiliary_problems(values, info)
        if problems:
            raise ConfigError(problems)
        return EvaluationConfig(**values)

    def split_sizes(self, images: int) -> tuple[int, int]:
        """Number of images for training and of held-out images; the second may be 0."""
        training = part_size(images, self.train_portion)
        return training, images - training


def _fitting(values: Mapping[str, Any], info: DatasetInfo, given: set[str]) -> dict[str, Any]:
    """Defaults that depend on the data, whatever the preset."""
    fitting: dict[str, Any] = {}
    if "auxiliary" not in given and info.side < _least_side(values):
        fitting["auxiliary"] = False
    if "train_portion" not in given and info.valid:
        fitting["train_portion"] = 1.0
    if "batch_size" not in given:
        parts = _parts({**values, **fitting}["train_portion"])
        fitting["batch_size"] = fitting_batch(values["batch_size"], parts, info)
    return fitting


def _parts(train_portion: float) -> dict[str, float]:
    return {"training": train_portion}


def _auxiliary_problems(values: Mapping[str, Any], info: DatasetInfo | None) -> list[Problem]:
    if not values["auxiliary"] or info is None:
        return []
    return auxiliary_problems(values, values["stem"], info.name, (info.height, info.width))


def auxiliary_problems(values: Mapping[str, Any], stem: Stem, dataset: str, size: tuple[int, int]) -> list[Problem]:
    """Check that images of this size (height, width) are large enough for the auxiliary head behind this stem.

    values: of the spec; only `layers` and `reductions` are read.
    """
    least, (height, width) = _least_side({**values, "stem": stem}), size
    if min(size) >= least:
        return []
    return [
        Problem(
            ("auxiliary",),
            f"needs images of at least {least}x{least} pixels behind the stem {stem!r}, {dataset} has "
            f"{width}x{height}; give auxiliary=false",
        )
    ]


def _least_side(values: Mapping[str, Any]) -> int:
    return least_auxiliary_image(values["stem"], len(reduction_layers(values["layers"], values.get("reductions"))))
