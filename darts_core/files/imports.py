"""Imports checkpoints of the DARTS authors' CNN code: a bare `state_dict` plus its genotype.

Training programs wrap it in a dictionary, parallel training and frameworks prefix its keys, profilers add buffers, and
old PyTorch versions lack batch counters; `darts_core.files.state_dicts` undoes all of that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_core.configs.score import TrainedOn
from darts_core.data.catalogue import FOLDER_PREFIX
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import FORMAT, UNKNOWN_ENVIRONMENT, VERSION, Checkpoint, plain_dictionary
from darts_core.files.state_dict_shapes import COUNTER
from darts_core.files.state_dict_specs import Described, described
from darts_core.files.state_dicts import is_recurrent, unwrapped
from darts_core.genotypes import ConvolutionalGenotype, to_json


def read_authors(path: Path, genotype: ConvolutionalGenotype, told: TrainedOn | None = None) -> Checkpoint:
    """Convert the file to a checkpoint without resume state.

    told: the training data, as declared by the owner. Raises CheckpointError that names the first key that does not fit
    the genotype, and for a file that is not a state_dict.
    """
    return read_described(path, genotype, told)[0]


def read_described(
    path: Path, genotype: ConvolutionalGenotype, told: TrainedOn | None = None
) -> tuple[Checkpoint, Described]:
    """Convert the file by a description of its network."""
    weights = _state_dict(plain_dictionary(path), path)
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    about = described(shapes, genotype, path.name, told or TrainedOn())
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": "evaluation",
        "epoch": 0,
        "weights": {name: _weight(name, weights) for name in about.shapes},
        "genotype": to_json(genotype),
        "spec": about.spec.model_dump(mode="json"),
        "classes": about.classes,
        "normalisation": {"mean": about.mean, "std": about.std},
        "image": {"channels": about.image_channels, "size": about.size},
        "metrics": {},
        "environment": UNKNOWN_ENVIRONMENT,
        "resume": {},
    }, about


def trained_on(dataset: str | None, data_root: Path) -> TrainedOn:
    """The training data as described by a local data set; any other set gives its name alone. Raises DataError."""
    if dataset is None or not (dataset == "digits" or dataset.startswith(FOLDER_PREFIX)):
        return TrainedOn(dataset=dataset)
    from darts_core.data import load

    data = load(dataset, data_root)
    return TrainedOn(
        dataset=dataset, classes=list(data.classes), mean=list(data.mean), std=list(data.std), size=list(data.size)
    )


def is_language_model(path: Path) -> bool:
    """Whether a state_dict is of a recurrent network. Raises CheckpointError."""
    return is_recurrent(unwrapped(plain_dictionary(path), path.name))


def _state_dict(value: dict[str, Any], path: Path) -> dict[str, Tensor]:
    tensors = unwrapped(value, path.name)
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path.name} is not a state_dict: {name} is not a tensor")
    return tensors


def _weight(name: str, weights: dict[str, Tensor]) -> Tensor:
    """A tensor in the network's dtype. Batch counters missing in old PyTorch versions start at 0."""
    dtype = torch.int64 if name.endswith(f".{COUNTER}") else torch.float32
    found = weights.get(name)
    return torch.zeros((), dtype=dtype) if found is None else found.detach().to(dtype).contiguous().clone()
