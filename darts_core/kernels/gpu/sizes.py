"""Divides the work of a kernel into programs.

Kernels count planes and pixels in int32, since a batch that fits has fewer than 2^31; offsets of images are int64. A
masked index may be negative: `//` and `%` then round as C does, and nothing reads it.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl
from torch import Tensor

# Enough programs to occupy the largest GPUs; more would only add partial sums.
_PROGRAMS: Final = 2048
# (planes, pixels) of a program: few shapes, since each is compiled.
_TILES: Final = ((1, 256), (4, 64))


def accumulator(x: Tensor) -> Any:
    """Return the accumulator type for sums over x."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def tile(pixels: int) -> tuple[int, int]:
    """Return the planes per program and the pixels of each plane."""
    return _TILES[0] if pixels > _TILES[1][1] else _TILES[1]


def chunks_of(numbers: int, block: int, others: int, most: int = _PROGRAMS) -> tuple[int, int]:
    """Return the number of parts of a sum over `numbers` terms, and the terms per part, a multiple of `block`.

    others: programs that each part has for other reasons. most: parts.
    """
    blocks = triton.cdiv(numbers, block)
    chunks = max(1, min(blocks, most, triton.cdiv(_PROGRAMS, others)))
    each = triton.cdiv(blocks, chunks)
    return triton.cdiv(blocks, each), each * block


def channels_of_tile(channels: int) -> int:
    """Return the padded channels of a tile."""
    return int(max(16, min(64, triton.next_power_of_2(channels))))


def pixels_of_tile(channels: int) -> int:
    """Return the pixels of a tile of so many padded channels: the registers of sm_80 do not hold more of the widest."""
    return 32 if channels == 64 else 64


def warps(channels: int) -> int:
    """Return the warps of a program whose tile has so many padded channels."""
    return 8 if channels == 64 else 4
