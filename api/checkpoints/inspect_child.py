"""Inspects an uploaded checkpoint without torch, as the child process of `api.checkpoints.inspector`.

Nothing is unpickled: `darts_core.files.torch_files` only follows instructions that build plain values. Workers check
the whole file again when they use it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from api.checkpoints.inspection import Examined, Text, Told
from api.sandbox import serve
from darts_core.configs.score import TrainedOn
from darts_core.errors import CheckpointError, GenotypeError
from darts_core.families import NetworkFamily, family_in
from darts_core.files.safetensors import Entry, is_safetensors, read_header
from darts_core.files.state_dict_specs import described
from darts_core.files.state_dicts import inferred_recurrent, is_recurrent, recurrent_misfit, unwrapped
from darts_core.files.torch_files import StoredTensor, TorchFile, is_legacy, read_legacy
from darts_core.genotypes import AnyGenotype, RecurrentGenotype, parse, to_json
from darts_core.primitives import Family

_MOST_MEMORY: Final = 2**30
_LONGEST_MESSAGE: Final = 1000
# The name of a data set, or a folder below the workers' data root.
_DATASET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}|folder:[A-Za-z0-9._/ -]{1,200}")
_CHECKSUM: Final = re.compile(r"[0-9a-f]{64}")


class UnfitError(Exception):
    """The file cannot be accepted. field: the form's invalid field."""

    def __init__(self, field: str, msg: str) -> None:
        super().__init__(msg)
        self.field = field


def examine(path: Path, name: str, genotype: str | dict[str, Any] | None, told: Told) -> Examined:
    """Inspect a file's index and instructions, but not its tensors; a large file takes some seconds.

    genotype (in any format), told: only for state_dicts in the authors' format. Raises UnfitError if the file is not a
    checkpoint.
    """
    try:
        if is_legacy(path):
            # Only the authors' own files use the legacy format.
            return _authors(unwrapped(read_legacy(path), name), genotype, told, name)
        value = _content(path)
        if isinstance(value, dict) and value.get("format") == "dartboard":
            if genotype:
                raise UnfitError("genotype", "is for files in the authors' format: this checkpoint has its own")
            if told != Told():
                where = "dataset" if told.dataset else "mean"
                raise UnfitError(where, "is for files in the authors' format: this checkpoint names its own")
            return _ours(value, name)
        return _authors(unwrapped(value, name), genotype, told, name)
    except CheckpointError as error:
        raise UnfitError("file", str(error).replace(path.name, name)) from error
    except MemoryError as error:
        raise UnfitError("file", f"examining {name} takes more memory than any checkpoint needs") from error


def _content(path: Path) -> Any:
    """The contents of the file, with a shape in place of each tensor."""
    if not is_safetensors(path):
        return TorchFile(path).value
    header = read_header(path)
    if header.about is None:
        return header.tensors
    return {**header.about, "format": "dartboard", "weights": header.tensors}


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Run `examine`. order: its arguments by name. Returns the fields of Examined, or an `error` and its `field`."""
    try:
        told = order["told"]
        text = Text(**told["text"]) if told["text"] else None
        told = Told(told["dataset"], text, told["images"])
        return asdict(examine(Path(order["path"]), order["name"], order["genotype"], told))
    except UnfitError as error:
        # Text from a pickle may be long and contain lone surrogates, which a response cannot carry.
        message = str(error)[:_LONGEST_MESSAGE].encode(errors="backslashreplace").decode()
        return {"field": error.field, "error": message}


def _genotype(text: str | dict[str, Any] | None, family: Family, name: str) -> AnyGenotype:
    if not text:
        why = f"{name} is a state_dict, which does not contain its cell"
        raise UnfitError("genotype", f"is required: {why}")
    try:
        return parse(text, family)
    except GenotypeError as error:
        raise UnfitError("genotype", str(error)) from error


def _ours(value: dict[str, Any], name: str) -> Examined:
    if value.get("kind") == "ensemble":
        raise CheckpointError(f"{name} is an ensemble: upload the checkpoints of its members one by one")
    spec, weights = value.get("spec"), value.get("weights")
    family = family_in(spec if isinstance(spec, dict) else {})
    told = family.outputs
    names = value.get(told)
    complete = isinstance(spec, dict) and isinstance(names, list) and isinstance(weights, dict) and weights
    if not complete or value.get("kind") not in ("search", "evaluation"):
        raise CheckpointError(f"{name} is incomplete: a checkpoint has kind, spec, {told} and weights")
    assert isinstance(spec, dict)
    assert isinstance(names, list)
    assert isinstance(weights, dict)
    if not names or not all(isinstance(n, str) and n for n in names):
        raise CheckpointError(f"{name} has no usable {told}: expected their names")
    _check_tensors(weights, name)
    return Examined(
        format="dartboard",
        family=family.name,
        dataset=_if(_DATASET, spec.get("dataset")),
        dataset_checksum=_if(_CHECKSUM, spec.get(family.checksum_field)),
        classes=len(names) if told == "classes" else None,
        words=len(names) if told == "vocabulary" else None,
        genotype=_own_genotype(value.get("genotype"), family, name),
    )


def _if(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _own_genotype(value: Any, family: NetworkFamily, name: str) -> dict[str, Any]:
    if not isinstance(value, str | dict):
        raise CheckpointError(f"{name} has no usable genotype: expected text or an object")
    try:
        return family.stored(value)
    except (GenotypeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} has no usable genotype: {error}") from error


def _check_tensors(weights: dict[str, Any], name: str) -> None:
    if not all(isinstance(key, str) and isinstance(tensor, StoredTensor | Entry) for key, tensor in weights.items()):
        raise CheckpointError(f"{name} has weights that are not tensors: expected tensors by name")


def _authors(tensors: dict[str, Any], genotype: str | dict[str, Any] | None, told: Told, name: str) -> Examined:
    family: Family = "rnn" if is_recurrent(tensors) else "cnn"
    cell = _genotype(genotype, family, name)
    _check_tensors(tensors, name)
    shapes = {key: tensor.shape for key, tensor in tensors.items()}
    if isinstance(cell, RecurrentGenotype):
        if told.dataset is not None and told.text is None:
            raise UnfitError("dataset", f"{told.dataset} is a set of images: this state_dict is a language model")
        return _authors_recurrent(shapes, cell, told.text, name)
    if told.dataset is not None and told.images is None:
        raise UnfitError("dataset", f"{told.dataset} is a text: this state_dict classifies images")
    trained_on = TrainedOn(**(told.images or {}))
    found = described(shapes, cell, name, trained_on)
    return Examined(
        format="authors",
        family="cnn",
        dataset=found.dataset,
        dataset_checksum=trained_on.dataset_checksum,
        classes=len(found.classes),
        words=None,
        genotype=to_json(cell),
        normalisation={"mean": found.mean, "std": found.std},
        trained_on=trained_on.model_dump(),
        remarks=found.remarks,
    )


def _authors_recurrent(
    shapes: dict[str, tuple[int, ...]], cell: RecurrentGenotype, text: Text | None, name: str
) -> Examined:
    if text is None:
        raise UnfitError("dataset", "is required: a state_dict does not contain its vocabulary")
    sizes = inferred_recurrent(shapes, name)
    if misfit := recurrent_misfit(sizes, len(cell.recurrent), text.dataset, text.words):
        raise UnfitError(str(misfit.loc[0]), misfit.msg)
    return Examined("authors", "rnn", text.dataset, text.checksum, None, sizes.words, to_json(cell))


if __name__ == "__main__":
    sys.exit(serve(answer, _MOST_MEMORY))
