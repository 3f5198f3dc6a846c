"""Reads what a checkpoint file says of its network. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, FiniteFloat, ValidationError

from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.errors import CheckpointError
from darts_core.files.safetensors import is_safetensors, read_header
from darts_core.files.torch_files import TorchFile
from darts_core.validation import field_errors


class Normalisation(BaseModel):
    """Per channel, for pixels scaled to 0..1."""

    mean: list[FiniteFloat]
    std: list[FiniteFloat]


class ImageShape(BaseModel):
    """size: height and width."""

    channels: int
    size: tuple[int, int]


class _Trained(BaseModel):
    kind: Literal["evaluation"]
    epoch: int
    metrics: dict[str, float]


class TrainedOnImages(_Trained):
    """A network that classifies images."""

    spec: EvaluationConfig
    classes: list[str]
    normalisation: Normalisation
    image: ImageShape


class TrainedOnText(_Trained):
    """A language model."""

    spec: RnnEvaluationConfig
    vocabulary: list[str]


_FAMILIES: Final[dict[str, type[TrainedOnImages] | type[TrainedOnText]]] = {
    "cnn": TrainedOnImages,
    "rnn": TrainedOnText,
}
_OTHER_KINDS: Final = {
    "search": "is a search's supernet, not the network of one cell: retrain its cell, and export that checkpoint",
    "ensemble": "is an ensemble of several networks: export the checkpoint of each member",
}


def read_description(checkpoint: Path) -> TrainedOnImages | TrainedOnText:
    """Read a checkpoint of torch.save or safetensors. Raises CheckpointError for one that is not of a single cell."""
    name = checkpoint.name
    value = read_header(checkpoint).about if is_safetensors(checkpoint) else TorchFile(checkpoint).value
    if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
        raise CheckpointError(
            f"{name} does not say which network its weights are of: make a checkpoint of them and their genotype, by "
            "`dartboard import`"
        )
    for kind, refusal in _OTHER_KINDS.items():
        if value.get("kind") == kind:
            raise CheckpointError(f"{name} {refusal}")
    family = value["spec"].get("family", "cnn")
    model = next((model for known, model in _FAMILIES.items() if family == known), None)
    if model is None:
        raise CheckpointError(
            f"{name} is of another family than {' and '.join(_FAMILIES)}: no plain PyTorch is written of it"
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e.loc))}: {e.msg}" for e in field_errors(error.errors(), model))
        raise CheckpointError(f"{name} is not a usable checkpoint: {problems}") from error
