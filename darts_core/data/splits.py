"""The deterministic split of the training images of one run."""

from __future__ import annotations

from torch import Tensor

from darts_core.data.order import permutation


def part_indices(images: int, sizes: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """The two parts of the training images in one run: indices (sizes[0],) and (sizes[1],), disjoint, drawn by seed."""
    order = permutation(images, seed, "split")
    first, second = sizes
    return order[:first].sort().values, order[first : first + second].sort().values
