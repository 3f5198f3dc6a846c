"""What an uploaded file is, as far as that can be told without torch. Workers check it again, whole, when they use it.

Nothing is unpickled: `darts_core.torch_files` follows the file's instructions for plain values and refuses all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.problems import invalid
from darts_core.configs.score import CheckpointFormat
from darts_core.errors import CheckpointError, GenotypeError
from darts_core.genotypes import parse, to_json
from darts_core.state_dicts import inferred, unwrapped
from darts_core.torch_files import StoredTensor, TorchFile, is_legacy


@dataclass(frozen=True)
class Examined:
    """dataset and classes (how many): None where the file does not say. genotype: JSON."""

    format: CheckpointFormat
    dataset: str | None
    classes: int | None
    genotype: dict[str, Any] | None


def examine(path: Path, name: str, genotype: str | None) -> Examined:
    """Raises ProblemError 422 for what cannot be a checkpoint. genotype: in any format, for the authors' files.

    Reads the file's index and its instructions, not its tensors; still, some seconds for a large one.
    """
    cell = _genotype(genotype)
    try:
        if is_legacy(path):
            # A row of pickles of a PyTorch before 1.6: the authors' own files are such. The worker reads them.
            return _authors(None, cell, name)
        value = TorchFile(path).value
        if isinstance(value, dict) and value.get("format") == "dartboard":
            return _ours(value, cell, name)
        return _authors(unwrapped(value, name), cell, name)
    except CheckpointError as error:
        raise invalid("file", str(error).replace(path.name, name)) from error


def _genotype(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        return to_json(parse(text))
    except GenotypeError as error:
        raise invalid("genotype", str(error)) from error


def _ours(value: dict[str, Any], cell: dict[str, Any] | None, name: str) -> Examined:
    if cell is not None:
        raise invalid("genotype", "is for files in the authors' format: this checkpoint has its own")
    spec, classes = value.get("spec"), value.get("classes")
    weights = value.get("weights")
    complete = isinstance(spec, dict) and isinstance(classes, list) and isinstance(weights, dict) and weights
    if not complete or value.get("kind") not in ("search", "evaluation"):
        raise CheckpointError(f"{name} is incomplete: a checkpoint has kind, spec, classes and weights")
    try:
        found = to_json(parse(value.get("genotype") or ""))
    except GenotypeError as error:
        raise CheckpointError(f"{name} has no usable genotype: {error}") from error
    assert isinstance(spec, dict)
    assert isinstance(classes, list)
    dataset = spec.get("dataset")
    return Examined("dartboard", dataset if isinstance(dataset, str) else None, len(classes), found)


def _authors(tensors: dict[str, Any] | None, cell: dict[str, Any] | None, name: str) -> Examined:
    if cell is None:
        raise invalid("genotype", f"is needed: {name} is no checkpoint of ours, and a state_dict does not say its cell")
    if tensors is None:
        return Examined("authors", None, None, cell)
    shapes = {key: tensor.shape for key, tensor in tensors.items() if isinstance(tensor, StoredTensor)}
    sizes = inferred(shapes, name)
    return Examined("authors", sizes.dataset, sizes.classes, cell)
