"""What changes from epoch to epoch, as pure functions of the epoch (from 1): a resumed run needs no state for it."""

from __future__ import annotations

import math


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """Half a cosine wave: `start` in the first epoch, one step short of `end` in the last. SGDR (arXiv:1608.03983)."""
    return end + (start - end) * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2


def linear(epoch: int, epochs: int, end: float) -> float:
    """0 in the first epoch, one step short of `end` in the last: how drop-path grows in the authors' code."""
    return end * (epoch - 1) / epochs
