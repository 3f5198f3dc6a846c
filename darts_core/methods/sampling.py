"""Draws keyed noise for methods that sample operation weights."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise in float64 on the CPU: -log of exponentially distributed numbers."""
    noise = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    # Zero, once in 2^53 draws, would give an infinite weight.
    return noise.clamp_min_(torch.finfo(torch.float64).tiny).log_().neg_()
