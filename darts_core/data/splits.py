"""Splits the training images of a run deterministically."""

from __future__ import annotations

from torch import Tensor

from darts_core.data.order import permutation


def part_indices(images: int, sizes: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Two disjoint parts of the training images, drawn by seed: indices (sizes[0],) and (sizes[1],)."""
    order = permutation(images, seed, "split")
    first, second = sizes
    return order[:first].sort().values, order[first : first + second].sort().values
