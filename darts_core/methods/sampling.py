"""Draws keyed noise for methods that sample operation weights."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise of the shape, type and device of `like`: -log of exponentially distributed numbers.

    Drawn on the CPU in float64, so that all devices and types get the same numbers.
    """
    noise = torch.empty(like.shape, dtype=torch.float64).exponential_(generator=generator)
    # Zero, once in 2^53 draws, would give an infinite weight.
    return -noise.clamp_min_(torch.finfo(torch.float64).tiny).log_().to(like)
