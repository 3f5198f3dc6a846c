"""Reads safetensors files into torch tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from darts_core.errors import CheckpointError
from darts_core.files.safetensors import Header, read_header

_TYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_tensors(path: Path, header: Header | None = None) -> dict[str, Tensor]:
    """All tensors by name, on the CPU. header: if already read. Raises CheckpointError, OSError."""
    found: dict[str, Tensor] = {}
    with path.open("rb") as file:
        for name, entry in (header or read_header(path)).tensors.items():
            if entry.dtype not in _TYPES:
                raise CheckpointError(f"{path.name}: {name} is of type {entry.dtype}, which is not read here")
            file.seek(entry.start)
            data = bytearray(file.read(entry.stop - entry.start))
            kind = _TYPES[entry.dtype]
            flat = torch.frombuffer(data, dtype=kind) if data else torch.empty(0, dtype=kind)
            found[name] = flat.view(entry.shape)
    return found
