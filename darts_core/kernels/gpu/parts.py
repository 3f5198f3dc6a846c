"""Adds the parts of sums over pixels, each of which another program wrote, where the sums are needed.

A kernel would only add them. They are the first dimension of a tensor.
"""

# ruff: noqa: N803 - capitals are compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

# Numbers that a program adds in some microseconds.
_MOST: Final = 1 << 17


def most_parts(numbers: int) -> int:
    """Return how many parts of so many numbers a program may add."""
    return max(1, _MOST // numbers)


def in_parts(sums: Tensor, dims: int) -> Tensor:
    """Return sums of so many dimensions with their parts before them."""
    return sums.unsqueeze(0) if sums.dim() == dims else sums


def whole(sums: Tensor, dims: int) -> Tensor:
    """Return sums of so many dimensions without parts, float64."""
    return sums if sums.dim() == dims else sums.sum(0, dtype=torch.float64)


@triton.jit
def added(place, there, parts, step, PARTS: tl.constexpr):
    """Sum the vectors or matrices at `place` over all parts, float64. PARTS: that are read at once."""
    part = tl.expand_dims(tl.arange(0, PARTS), 1)
    if len(place.shape) == 2:
        part = tl.expand_dims(part, 2)
    places, read = tl.expand_dims(place, 0) + part * step, tl.expand_dims(there, 0)
    total = tl.zeros(places.shape, tl.float64)
    for first in range(0, parts, 4 * PARTS):
        for one in tl.static_range(4):  # four loads on their way
            now = first + one * PARTS
            total += tl.load(places + now * step, mask=read & (part < parts - now), other=0).to(tl.float64)
    return tl.sum(total, 0)
