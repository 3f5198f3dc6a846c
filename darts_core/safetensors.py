"""Writing safetensors files: a length, a JSON header, the tensors' bytes. Imports neither torch nor safetensors.

Format: https://huggingface.co/docs/safetensors (eight bytes of little-endian header size, then the header, then the
data without holes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from darts_core.errors import CheckpointError
from darts_core.torch_files import StoredTensor, TorchFile


def write_header(to: IO[bytes], tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> None:
    """Everything before the data. tensors: name to (dtype as safetensors names it, shape, bytes), in their order."""
    # The entry that libraries look for to know whose tensors these are.
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data shall start at a multiple of eight
    to.write(len(text).to_bytes(8, "little") + text)


def write(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> str:
    """A file of tensors given as (dtype as safetensors names it, shape, little-endian bytes); gives its sha256.

    Raises OSError.
    """
    with path.open("wb") as file:
        write_header(file, {name: (dtype, shape, len(data)) for name, (dtype, shape, data) in tensors.items()})
        for _, _, data in tensors.values():
            file.write(data)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_of(file: TorchFile) -> dict[str, StoredTensor]:
    """The weights in a checkpoint of ours. Raises CheckpointError when there are none."""
    value = file.value
    weights = value.get("weights") if isinstance(value, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise CheckpointError(f"{file.path.name} is no checkpoint: it has no weights")
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            raise CheckpointError(f"{file.path.name}: the weight {name!r} is no tensor")
    return weights


def convert(checkpoint: Path, to: IO[bytes]) -> None:
    """Write the weights of a checkpoint file, and nothing else of it. Raises CheckpointError."""
    file = TorchFile(checkpoint)
    weights = weights_of(file)
    if sum(t.size for t in weights.values()) > checkpoint.stat().st_size:
        raise CheckpointError(f"{checkpoint.name}: its weights are said to be larger than the file")
    write_header(to, {name: (t.dtype, t.shape, t.size) for name, t in weights.items()})
    file.copy(list(weights.values()), to)
