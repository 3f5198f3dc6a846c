"""Computes a digest of each tensor and each other value of a checkpoint, to compare two. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from darts_core.errors import CheckpointError
from darts_core.files.torch_files import StoredTensor, TorchFile

# Of a run, not of what it computed; and what is compared value by value.
_LEFT_OUT: Final = {"format", "version", "environment", "spec", "metrics"}


def fingerprints(file: TorchFile) -> dict[str, str]:
    """The SHA-256 of each tensor (type, shape and bytes) and of each other value of a checkpoint, by its path, such as
    `weights.stem.0.weight`, in the file's order: weights before the state that only a resumed training needs.

    Raises CheckpointError for a file that is no checkpoint, or a damaged one.
    """
    if not isinstance(file.value, dict):
        raise CheckpointError(f"{file.path.name} is not a checkpoint: it holds no dictionary")
    leaves = dict(_leaves({name: value for name, value in file.value.items() if name not in _LEFT_OUT}))
    tensors = {path: leaf for path, leaf in leaves.items() if isinstance(leaf, StoredTensor)}
    distinct = dict.fromkeys(tensors.values())  # tied weights are stored once
    if sum(tensor.size for tensor in distinct) > file.path.stat().st_size:
        raise CheckpointError(f"{file.path.name}: its header declares tensors larger than the file")
    found = dict(zip(distinct, file.digests(distinct), strict=True))
    return {path: found[leaf] if path in tensors else _of_value(leaf) for path, leaf in leaves.items()}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors, and the largest parts without any."""
    if isinstance(value, StoredTensor) or not _has_tensors(value):
        yield path, value
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, item in items:
        yield from _leaves(item, f"{path}.{name}" if path else str(name))


def _has_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_tensors, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_tensors, value))
    return isinstance(value, StoredTensor)


def _of_value(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()
