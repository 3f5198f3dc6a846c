"""How the work of a kernel is cut into programs."""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl
from torch import Tensor

# Programs that keep the largest GPUs busy; more of them would only leave more to add up.
_PROGRAMS: Final = 2048
# Planes and pixels: few shapes, for each is compiled.
_TILES: Final = ((1, 256), (4, 64))


def accumulator(x: Tensor) -> Any:
    """The type that sums over x are taken in."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def tile(pixels: int) -> tuple[int, int]:
    """Planes that a program takes, and pixels of each."""
    return _TILES[0] if pixels > _TILES[1][1] else _TILES[1]


def chunks_of(numbers: int, block: int, others: int) -> tuple[int, int]:
    """Parts to cut a sum of so many numbers in, and the numbers of each, a multiple of the block.

    others: programs that there are anyway for each part.
    """
    blocks = triton.cdiv(numbers, block)
    chunks = max(1, min(blocks, triton.cdiv(_PROGRAMS, others)))
    each = triton.cdiv(blocks, chunks)
    return triton.cdiv(blocks, each), each * block
