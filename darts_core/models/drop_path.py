"""Implements drop-path, which drops whole paths at random per sample: FractalNet (arXiv:1605.07648), as in DARTS."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_core.distributed.group import ALONE, Group


def drop_path(x: Tensor, probability: float, generator: torch.Generator | None = None, group: Group = ALONE) -> Tensor:
    """Zero each sample of x (N, C, H, W) with this probability and scale the others by 1 / (1 - probability).

    generator: on x's device; by default torch's global one. Ranks of a group draw for the whole batch from equal
    generators, and each uses its own share.
    """
    if probability == 0.0:
        return x
    keep = 1.0 - probability
    # For so few numbers, uniform_ and a comparison are faster than bernoulli_ on a CPU.
    drawn = torch.empty((group.size * x.shape[0], 1, 1, 1), device=x.device).uniform_(generator=generator)
    kept = group.share(drawn) < keep
    return x * (kept.to(x.dtype) / keep)


class DropPath(nn.Module):
    """Applies `drop_path` in training mode; the identity in evaluation mode. `probability` may change every epoch."""

    def __init__(self, probability: float = 0.0, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.probability = probability
        self.generator = generator
        self.group = ALONE

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return drop_path(x, self.probability, self.generator, self.group) if self.training else x
