"""Writes an ensemble's outputs as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from darts_core.files.safetensors import write

_TYPES: Final = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
_NAMES: Final = {dtype: name for name, dtype in _TYPES.items()}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write CPU tensors of float32, float64 or int64 and return the file's SHA-256. Raises OSError."""
    return write(path, {k: (_NAMES[t.dtype], tuple(t.shape), t.numpy().tobytes()) for k, t in tensors.items()})
