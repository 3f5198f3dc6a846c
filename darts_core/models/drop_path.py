"""Implements drop-path, which drops whole paths at random per sample: FractalNet (arXiv:1605.07648), as in DARTS."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.distributed.group import ALONE, Group


def draw_paths(
    paths: int,
    images: int,
    device: torch.device,
    generator: torch.Generator | None = None,
    group: Group = ALONE,
) -> Tensor:
    """Draw the uniform numbers by which a forward pass drops its paths: (paths, images), float32.

    generator: on the device; by default torch's global one. Ranks of a group draw for the whole batch from equal
    generators, and each uses its own share.
    """
    drawn = torch.empty((paths, group.size * images), device=device)
    # For so few numbers, uniform_ and a comparison are faster than bernoulli_ on a CPU.
    return group.share(drawn.uniform_(generator=generator).t()).t()


class Paths:
    """The paths of one forward pass. Each sample loses each with probability 1 - keep."""

    def __init__(self, drawn: Tensor, keep: Tensor) -> None:
        """drawn: numbers of `draw_paths`. keep: a float64 scalar on their device, which stands for a Python float."""
        self._kept, self._keep = drawn < keep, keep
        self._scales: dict[torch.dtype, Tensor] = {}
        self._taken = 0

    def drop(self, x: Tensor) -> Tensor:
        """Zero the samples of x (N, C, H, W) that lose the next path, and scale the others by 1 / keep."""
        if x.dtype not in self._scales:
            wide = torch.promote_types(x.dtype, torch.float32)  # a GPU would round `keep` to bf16
            self._scales[x.dtype] = (self._kept.to(wide) / self._keep).to(x.dtype)
        scales = self._scales[x.dtype][self._taken]
        self._taken += 1
        return x * scales[:, None, None, None]
