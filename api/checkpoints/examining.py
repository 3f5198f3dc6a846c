"""What an uploaded file is, as far as that can be told without torch. Workers check it again, whole, when they use it.

`python -m api.checkpoints.examining` is the process of its own that `api.checkpoints.examiner` runs.

Nothing is unpickled: `darts_core.torch_files` follows the file's instructions for plain values and refuses all others.
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from api.child import serve
from darts_core.configs.score import CheckpointFormat
from darts_core.errors import CheckpointError, GenotypeError
from darts_core.genotypes import parse, to_json
from darts_core.state_dicts import inferred, unwrapped
from darts_core.torch_files import StoredTensor, TorchFile, is_legacy, read_legacy

_MOST_MEMORY: Final = 2**30
_LONGEST_MESSAGE: Final = 1000
# A data set's name, or a folder below the workers' data root.
_DATASET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}|folder:[A-Za-z0-9._/ -]{1,200}")
_CHECKSUM: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Examined:
    """dataset, dataset_checksum (of an uploaded set) and classes (how many): None where the file does not say.

    genotype: JSON.
    """

    format: CheckpointFormat
    dataset: str | None
    dataset_checksum: str | None
    classes: int | None
    genotype: dict[str, Any] | None


class UnfitError(Exception):
    """It cannot be taken. field: of the form."""

    def __init__(self, field: str, msg: str) -> None:
        super().__init__(msg)
        self.field = field


def examine(path: Path, name: str, genotype: str | dict[str, Any] | None) -> Examined:
    """Raises UnfitError for what cannot be a checkpoint. genotype: in any format, for the authors' files.

    Reads the file's index and its instructions, not its tensors; still, some seconds for a large one.
    """
    cell = _genotype(genotype)
    try:
        if is_legacy(path):
            # The authors' own files are such; ours never were.
            return _authors(unwrapped(read_legacy(path), name), cell, name)
        value = TorchFile(path).value
        if isinstance(value, dict) and value.get("format") == "dartboard":
            return _ours(value, cell, name)
        return _authors(unwrapped(value, name), cell, name)
    except CheckpointError as error:
        raise UnfitError("file", str(error).replace(path.name, name)) from error
    except MemoryError as error:
        raise UnfitError("file", f"examining {name} needs too much memory: no checkpoint does") from error


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """order: `examine`'s arguments by name. The fields of Examined, or the `error` and the `field` it is in."""
    try:
        return asdict(examine(Path(order["path"]), order["name"], order["genotype"]))
    except UnfitError as error:
        # Text out of a pickle may be long, and hold halves of characters, which no answer can.
        said = str(error)[:_LONGEST_MESSAGE].encode(errors="backslashreplace").decode()
        return {"field": error.field, "error": said}


def _genotype(text: str | dict[str, Any] | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        return to_json(parse(text))
    except GenotypeError as error:
        raise UnfitError("genotype", str(error)) from error


def _ours(value: dict[str, Any], cell: dict[str, Any] | None, name: str) -> Examined:
    if cell is not None:
        raise UnfitError("genotype", "is for files in the authors' format: this checkpoint has its own")
    spec, classes = value.get("spec"), value.get("classes")
    if isinstance(spec, dict) and spec.get("family") == "rnn":
        raise CheckpointError(f"{name} is a language model: uploads are for networks of images")
    weights = value.get("weights")
    complete = isinstance(spec, dict) and isinstance(classes, list) and isinstance(weights, dict) and weights
    if not complete or value.get("kind") not in ("search", "evaluation"):
        raise CheckpointError(f"{name} is incomplete: a checkpoint has kind, spec, classes and weights")
    assert isinstance(spec, dict)
    assert isinstance(classes, list)
    assert isinstance(weights, dict)
    if not classes or not all(isinstance(c, str) and c for c in classes):
        raise CheckpointError(f"{name} has no usable classes: expected their names")
    _check_tensors(weights, name)
    dataset, checksum = _if(_DATASET, spec.get("dataset")), _if(_CHECKSUM, spec.get("dataset_checksum"))
    return Examined("dartboard", dataset, checksum, len(classes), _own_genotype(value.get("genotype"), name))


def _if(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _own_genotype(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, str | dict):
        raise CheckpointError(f"{name} has no usable genotype: expected text or an object")
    try:
        return to_json(parse(value))
    except (GenotypeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} has no usable genotype: {error}") from error


def _check_tensors(weights: dict[str, Any], name: str) -> None:
    if not all(isinstance(key, str) and isinstance(tensor, StoredTensor) for key, tensor in weights.items()):
        raise CheckpointError(f"{name} has weights that are no tensors: expected tensors by name")


def _authors(tensors: dict[str, Any], cell: dict[str, Any] | None, name: str) -> Examined:
    if cell is None:
        why = f"{name} is no checkpoint of ours, and a state_dict does not say its cell"
        raise UnfitError("genotype", f"is needed: {why}")
    _check_tensors(tensors, name)
    sizes = inferred({key: tensor.shape for key, tensor in tensors.items()}, name)
    return Examined("authors", sizes.dataset, None, sizes.classes, cell)


if __name__ == "__main__":
    sys.exit(serve(answer, _MOST_MEMORY))
