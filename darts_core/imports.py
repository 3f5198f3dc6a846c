"""Checkpoints of the DARTS authors' CNN code: a bare `state_dict`, made a checkpoint of ours with its genotype.

Their CIFAR file is the dictionary itself, their ImageNet file wraps it as {"state_dict": ...}; either may come from
DataParallel ("module." before each key) or from a PyTorch that did not count batches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from darts_core.checkpoints import FORMAT, VERSION, Checkpoint, Environment, Normalisation, plain_dictionary
from darts_core.configs import EvaluationConfig
from darts_core.errors import CheckpointError
from darts_core.genotypes import Genotype, to_json
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.state_dicts import Sizes, inferred, unwrapped

_CIFAR: Final[Normalisation] = {
    "mean": [0.49139968, 0.48215827, 0.44653124],
    "std": [0.24703233, 0.24348505, 0.26158768],
}
_IMAGENET: Final[Normalisation] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
_CIFAR10_CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
UNKNOWN_ENVIRONMENT: Final[Environment] = {
    "torch": "unknown",
    "device": "unknown",
    "threads": 0,
    "deterministic": False,
    "precision": "unknown",
    "tf32": False,
    "ranks": 1,
}
_COUNTER: Final = ".num_batches_tracked"


def read_authors(path: Path, genotype: Genotype, *, dataset: str | None = None) -> Checkpoint:
    """The file as a checkpoint of ours, without anything to resume from.

    dataset: what it was trained on; unless given, `cifar10`, `cifar100` or `imagenet` by its classes and stem. Raises
    CheckpointError that names the first key that does not fit the genotype, and for a file that is no state_dict.
    """
    weights = _state_dict(plain_dictionary(path), path)
    sizes = inferred({name: tuple(tensor.shape) for name, tensor in weights.items()}, path.name)
    weights = _fitted(weights, _expected(sizes, genotype), path.name)
    dataset = dataset or sizes.dataset
    imagenet = sizes.stem == "imagenet"
    spec = EvaluationConfig(
        dataset=dataset,
        genotype=to_json(genotype),
        channels=sizes.channels,
        layers=sizes.layers,
        auxiliary=sizes.auxiliary,
        stem=sizes.stem,
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": "evaluation",
        "epoch": 0,
        "weights": weights,
        "genotype": to_json(genotype),
        "spec": spec.model_dump(mode="json"),
        "classes": _classes(sizes.classes, dataset),
        "normalisation": _IMAGENET if imagenet else _CIFAR,
        "image": {"channels": sizes.image_channels, "size": [224, 224] if imagenet else [32, 32]},
        "metrics": {},
        "environment": UNKNOWN_ENVIRONMENT,
        "resume": {},
    }


def _state_dict(value: dict[str, Any], path: Path) -> dict[str, Tensor]:
    tensors = unwrapped(value, path.name)
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError(f"{path.name} is no state_dict: expected tensors by name, or those under 'state_dict'")
    return tensors


def _expected(sizes: Sizes, genotype: Genotype) -> dict[str, Tensor]:
    """Every key that the genotype's network of these sizes has, its tensors without memory."""
    try:
        with torch.device("meta"):
            network = EvaluationNetwork(
                genotype,
                channels=sizes.channels,
                layers=sizes.layers,
                classes=sizes.classes,
                auxiliary=sizes.auxiliary,
                image_channels=sizes.image_channels,
                stem=sizes.stem,
            )
    except (RuntimeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"no network of these sizes can be built ({sizes}): {error}") from error
    return network.state_dict()


def _fitted(weights: dict[str, Tensor], expected: dict[str, Tensor], file: str) -> dict[str, Tensor]:
    """The weights in the network's order. Raises CheckpointError that names the first key that does not fit."""
    fitted: dict[str, Tensor] = {}
    for name, wanted in expected.items():
        found = weights.get(name)
        if found is None and name.endswith(_COUNTER):
            found = torch.zeros((), dtype=wanted.dtype)
        if found is None:
            raise CheckpointError(f"{file} does not fit the genotype: {name} is missing")
        if found.shape != wanted.shape:
            raise CheckpointError(
                f"{file} does not fit the genotype: {name} is {list(found.shape)}, expected {list(wanted.shape)}"
            )
        fitted[name] = found.detach().to(wanted.dtype).contiguous().clone()
    unknown = next((name for name in weights if name not in expected), None)
    if unknown is not None:
        raise CheckpointError(f"{file} does not fit the genotype: it has no place for {unknown}")
    return fitted


def _classes(count: int, dataset: str) -> list[str]:
    """The names where the file's order of them is known, else numbers."""
    if dataset == "cifar10" and count == len(_CIFAR10_CLASSES):
        return list(_CIFAR10_CLASSES)
    return [str(number) for number in range(count)]
