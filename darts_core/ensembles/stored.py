"""Files of answers: a score's, which are read, and an ensemble's, which are written. Both are safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from darts_core.errors import CheckpointError
from darts_core.safetensors import write

_TYPES: Final = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
_NAMES: Final = {dtype: name for name, dtype in _TYPES.items()}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Tensors of float32, float64 or int64 on the CPU; gives the file's sha256. Raises OSError."""
    return write(path, {k: (_NAMES[t.dtype], tuple(t.shape), t.numpy().tobytes()) for k, t in tensors.items()})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that this service wrote. Raises CheckpointError for any other."""
    try:
        content = bytearray(path.read_bytes())
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        found: dict[str, Tensor] = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, end = entry["data_offsets"]
            data = content[start + first : start + end]
            flat = torch.frombuffer(data, dtype=_TYPES[entry["dtype"]]) if data else torch.empty(0)
            found[name] = flat.view(entry["shape"])
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path.name} holds no stored logits: {error}") from error
    return found
