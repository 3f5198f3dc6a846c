"""Reads and writes safetensors files. Imports neither torch nor safetensors.

Format: https://huggingface.co/docs/safetensors (eight bytes of little-endian header size, a JSON header, then the data
without holes).
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from darts_core.errors import CheckpointError
from darts_core.files.torch_files import StoredTensor, TorchFile

# safetensors dtype names, and bytes per element.
ITEM_SIZES: Final = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL"), 1),
}
_LARGEST_HEADER: Final = 16 * 2**20
# Metadata entry that describes the network of the weights.
_ABOUT: Final = "dartboard"
# Checkpoint fields copied into the metadata.
_SAID: Final = ("kind", "epoch", "genotype", "spec", "classes", "vocabulary", "normalisation", "image", "metrics")


@dataclass(frozen=True)
class Entry:
    """One tensor of a file. start, stop: of its bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """about: the network's description if the file was converted from our checkpoint, else None."""

    tensors: dict[str, Entry]
    about: dict[str, Any] | None


def is_safetensors(path: Path) -> bool:
    """Whether the file starts with a plausible header length and a JSON object."""
    with path.open("rb") as file:
        begin = file.read(9)
    return len(begin) == 9 and begin[8:] == b"{" and 8 + int.from_bytes(begin[:8], "little") <= path.stat().st_size


def read_header(path: Path) -> Header:
    """Read the header without the tensors' bytes. Raises CheckpointError for a damaged file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_LARGEST_HEADER, size - 8):
            raise CheckpointError(f"{path.name} is not a safetensors file: its header of {length:,} bytes is too long")
        try:
            header = json.loads(file.read(length))
            metadata = header.pop("__metadata__", None) or {}
            tensors = {name: _entry(entry, 8 + length, size) for name, entry in header.items()}
            about = json.loads(metadata[_ABOUT]) if _ABOUT in metadata else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path.name} is a damaged safetensors file: {error!r}") from error
    return Header(tensors, about if isinstance(about, dict) else None)


def _entry(entry: Any, data: int, size: int) -> Entry:
    first, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(n) is int and n >= 0 for n in (first, end, *shape)):
        raise ValueError("a tensor without a shape")
    if end - first != ITEM_SIZES[entry["dtype"]] * math.prod(shape) or data + end > size:
        raise ValueError("a tensor that is not in the file whole")
    return Entry(entry["dtype"], shape, data + first, data + end)


def write_header(
    to: IO[bytes],
    tensors: Mapping[str, tuple[str, tuple[int, ...], int]],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Serialise the header. tensors: name to (safetensors dtype, shape, bytes), in file order.

    about: JSON description of the weights' network.
    """
    # Entry by which libraries recognise PyTorch's tensors.
    metadata = {"format": "pt"} | ({_ABOUT: json.dumps(about)} if about else {})
    header: dict[str, Any] = {"__metadata__": metadata}
    place = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # align the data to eight bytes
    to.write(len(text).to_bytes(8, "little") + text)


def write(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> str:
    """Write tensors given as (safetensors dtype, shape, little-endian bytes) and return the file's SHA-256.

    Raises OSError.
    """
    with path.open("wb") as file:
        write_header(file, {name: (dtype, shape, len(data)) for name, (dtype, shape, data) in tensors.items()})
        for _, _, data in tensors.values():
            file.write(data)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_of(file: TorchFile) -> dict[str, StoredTensor]:
    """The weights in one of our checkpoints. Raises CheckpointError when there are none."""
    value = file.value
    weights = value.get("weights") if isinstance(value, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise CheckpointError(f"{file.path.name} is not a checkpoint: it has no weights")
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            raise CheckpointError(f"{file.path.name}: the weight {name!r} is not a tensor")
    return weights


def _description(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """Evaluations only: a supernet is incomplete without its alphas, which are not weights."""
    if checkpoint.get("kind") != "evaluation":
        return None
    said: dict[str, Any] = {name: checkpoint[name] for name in _SAID if name in checkpoint}
    try:
        json.dumps(said, allow_nan=False)
    except (TypeError, ValueError):
        return None
    return said


def convert(checkpoint: Path, to: IO[bytes]) -> None:
    """Write the weights of a checkpoint file, with its network's description as metadata. Raises CheckpointError.

    A safetensors file is copied.
    """
    if is_safetensors(checkpoint):
        with checkpoint.open("rb") as source:
            shutil.copyfileobj(source, to)
        return
    file = TorchFile(checkpoint)
    weights = weights_of(file)
    if sum(t.size for t in weights.values()) > checkpoint.stat().st_size:
        raise CheckpointError(f"{checkpoint.name}: its header declares weights larger than the file")
    write_header(to, {name: (t.dtype, t.shape, t.size) for name, t in weights.items()}, _description(file.value))
    file.copy(list(weights.values()), to)
