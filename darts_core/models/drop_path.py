"""Drop-path: whole paths are dropped at random, per sample. FractalNet (arXiv:1605.07648), as DARTS uses it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_core.distributed.group import ALONE, Group


def drop_path(x: Tensor, probability: float, generator: torch.Generator | None = None, group: Group = ALONE) -> Tensor:
    """Zero each sample of x (N, C, H, W) with this probability and scale the others by 1 / (1 - probability).

    The scale keeps the expectation. `generator` lives on x's device; without one torch's global state is used. With
    several ranks all draw for the whole batch, from equal generators, and each takes what is for its share.
    """
    if probability == 0.0:
        return x
    keep = 1.0 - probability
    # uniform_ and a comparison, not bernoulli_: cheaper on a CPU for the few numbers needed.
    drawn = torch.empty((group.size * x.shape[0], 1, 1, 1), device=x.device).uniform_(generator=generator)
    kept = group.share(drawn) < keep
    return x * (kept.to(x.dtype) / keep)


class DropPath(nn.Module):
    """`drop_path` in training mode, the identity otherwise. `probability` changes from epoch to epoch."""

    def __init__(self, probability: float = 0.0, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.probability = probability
        self.generator = generator
        self.group = ALONE

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), the same shape."""
        return drop_path(x, self.probability, self.generator, self.group) if self.training else x
