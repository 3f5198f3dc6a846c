"""Derives the spec of an imported `state_dict` from its shapes, and describes its data.

Used by the command's import, the API's inspection of an upload and the worker's score. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from darts_core.configs import EvaluationConfig
from darts_core.configs.score import TrainedOn
from darts_core.data.catalogue import BUILT_IN
from darts_core.errors import CheckpointError, GenotypeError
from darts_core.files.state_dict_shapes import COUNTER, Shapes, evaluation_shapes
from darts_core.files.state_dicts import Sizes, inferred
from darts_core.genotypes import ConvolutionalGenotype, Genotype, NasBench201Genotype, to_json
from darts_core.validation import field_errors

CIFAR_MEAN: Final = [0.49139968, 0.48215827, 0.44653124]
CIFAR_STD: Final = [0.24703233, 0.24348505, 0.26158768]
IMAGENET_MEAN: Final = [0.485, 0.456, 0.406]
IMAGENET_STD: Final = [0.229, 0.224, 0.225]
_CIFAR10_CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
# The set whose normalisation the authors' code uses; for CIFAR-100 they use CIFAR-10's.
_NORMALISED: Final = {"cifar10": "cifar", "cifar100": "cifar", "imagenet": "imagenet"}
# Name of an undeclared data set.
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Described:
    """Everything in a checkpoint except its weights.

    shapes: every key of the network, in order. dataset: None when unknown. mean, std: per channel. size: height and
    width. remarks: assumptions about undeclared values.
    """

    spec: EvaluationConfig
    shapes: Shapes
    dataset: str | None
    classes: list[str]
    image_channels: int
    size: list[int]
    mean: list[float]
    std: list[float]
    remarks: list[str]


def described(
    shapes: Mapping[str, tuple[int, ...]], genotype: ConvolutionalGenotype, file: str, told: TrainedOn
) -> Described:
    """Describe the network of these weights. told: the owner's declaration of the data; file: for messages.

    Raises CheckpointError that names the first key that does not fit the genotype, or the mismatch with the data.
    """
    if isinstance(genotype, NasBench201Genotype):
        raise CheckpointError(f"{file}: weights of NAS-Bench-201's networks are not imported, only DARTS' cells' are")
    sizes = inferred(shapes, file)
    spec = _spec(sizes, genotype, told.dataset or sizes.dataset or UNKNOWN, file)
    try:
        expected = evaluation_shapes(genotype, sizes)
    except GenotypeError as error:
        raise CheckpointError(f"{file}: {error}") from error
    _check_fit(shapes, expected, file)
    _check_classes(sizes, told, file)
    dataset = told.dataset or sizes.dataset
    mean, std = _normalisation(sizes, dataset, told, file)
    return Described(
        spec=spec,
        shapes=expected,
        dataset=dataset,
        classes=told.classes or _class_names(sizes.classes, dataset),
        image_channels=sizes.image_channels,
        size=told.size or ([224, 224] if sizes.stem == "imagenet" else [32, 32]),
        mean=mean,
        std=std,
        remarks=_remarks(sizes, told, mean, std),
    )


def _spec(sizes: Sizes, genotype: Genotype, dataset: str, file: str) -> EvaluationConfig:
    try:
        return EvaluationConfig(
            dataset=dataset,
            genotype=to_json(genotype),
            channels=sizes.channels,
            layers=sizes.layers,
            reductions=None if sizes.reductions is None else list(sizes.reductions),
            auxiliary=sizes.auxiliary,
            stem=sizes.stem,
        )
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e.loc))}: {e.msg}" for e in field_errors(error.errors(), EvaluationConfig)
        )
        raise CheckpointError(f"{file}: no network of these sizes can be built: {problems}") from error


def _check_classes(sizes: Sizes, told: TrainedOn, file: str) -> None:
    built_in = BUILT_IN.get(told.dataset or "")
    classes = len(told.classes) if told.classes is not None else (built_in.classes if built_in else sizes.classes)
    if classes != sizes.classes:
        theirs = f"{told.dataset or 'the data set'} has {classes}"
        raise CheckpointError(f"{file} has {sizes.classes} classes, {theirs}")


def _check_fit(shapes: Mapping[str, tuple[int, ...]], expected: Shapes, file: str) -> None:
    for name, wanted in expected.items():
        found = shapes.get(name)
        if found is None and not name.endswith(f".{COUNTER}"):  # PyTorch 0.3 had no batch counters
            raise CheckpointError(f"{file} does not fit the genotype: {name} is missing")
        if found is not None and found != wanted:
            raise CheckpointError(f"{file} does not fit the genotype: {name} is {list(found)}, expected {list(wanted)}")
    unknown = next((name for name in shapes if name not in expected), None)
    if unknown is not None:
        raise CheckpointError(f"{file} does not fit the genotype: it has no place for {unknown[:200]}")


def _normalisation(sizes: Sizes, dataset: str | None, told: TrainedOn, file: str) -> tuple[list[float], list[float]]:
    if told.mean is not None and told.std is not None:
        if len(told.mean) != sizes.image_channels:
            raise CheckpointError(
                f"{file} takes images of {sizes.image_channels} channels, mean and std have {len(told.mean)} numbers"
            )
        return told.mean, told.std
    if sizes.image_channels != len(CIFAR_MEAN):
        raise CheckpointError(
            f"{file} takes images of {sizes.image_channels} channels, whose normalisation is not known: give mean and "
            "std, one number a channel of images scaled to 0..1"
        )
    kind = _NORMALISED.get(dataset or "", "imagenet" if sizes.stem == "imagenet" else "cifar")
    return (IMAGENET_MEAN, IMAGENET_STD) if kind == "imagenet" else (CIFAR_MEAN, CIFAR_STD)


def _remarks(sizes: Sizes, told: TrainedOn, mean: list[float], std: list[float]) -> list[str]:
    remarks = []
    if told.dataset is None and sizes.dataset is not None:
        remarks.append(f"taken for {sizes.dataset}, by its {sizes.classes} classes and its stem: name another dataset")
    if told.mean is None and told.dataset not in _NORMALISED:
        remarks.append(f"normalised by mean {mean} and std {std}, as in the authors' code: give others as mean and std")
    return remarks


def _class_names(count: int, dataset: str | None) -> list[str]:
    """The class names if the file's class order is known, else numbers."""
    if dataset == "cifar10" and count == len(_CIFAR10_CLASSES):
        return list(_CIFAR10_CLASSES)
    return numbered(count)


def numbered(count: int) -> list[str]:
    """Names for classes that are only counted."""
    return [str(number) for number in range(count)]
