"""Adds up sums over pixels over the ranks that share a batch, for BatchNorm's statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from darts_core.distributed.group import ALONE, Group


class BatchSums:
    """Exchanges the sums of one BatchNorm, or of several with as many pixels, in one forward and backward pass.

    A sum comes back as `pixels / all_pixels` times that of all ranks. Divided by `pixels` it is a mean over the whole
    batch. A gradient that follows from sums of gradients is this rank's part: the parts of all ranks add up to the
    whole. Ranks may have different numbers of pixels. Nothing waits for the device.
    """

    def __init__(self, pixels: int, group: Group = ALONE) -> None:
        """pixels: of this rank, per channel."""
        self.pixels = pixels
        self.all_pixels: int | Tensor = pixels
        """Of all ranks: for a group a float64 scalar on the device, once sums have been exchanged."""
        self._group = group
        self._share: Tensor | None = None

    @property
    def alone(self) -> bool:
        """Whether no other rank has a part of the batch."""
        return self._group.size == 1

    def __call__(self, sums: Sequence[Tensor]) -> list[Tensor]:
        """Exchange float64 sums over this rank's pixels; alone, they are returned themselves. A collective call."""
        if self.alone or not sums:
            return list(sums)
        runs = [of.reshape(-1) for of in sums]
        sizes = [len(run) for run in runs]
        if self._share is None:
            # Last, so that the sums keep their alignment.
            total = self._group.total(torch.cat([*runs, runs[0].new_full((1,), self.pixels)]))
            self.all_pixels = total[-1]
            self._share = self.pixels / self.all_pixels
            total = total[:-1]
        else:
            total = self._group.total(torch.cat(runs))
        parts = torch.split(total * self._share, sizes)
        return [part.view(of.shape) for part, of in zip(parts, sums, strict=True)]
