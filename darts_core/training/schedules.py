"""Schedules learning rate and drop-path as pure functions of the epoch (from 1): a resumed run needs no state."""

from __future__ import annotations

import math

from darts_core.configs.common import TrainingConfig


def weight_lr(config: TrainingConfig, epoch: int, epochs: int) -> float:
    """The weights' learning rate in this epoch."""
    if config.schedule == "step":
        return max(step(epoch, config.weight_lr, config.schedule_factor, config.schedule_every), config.weight_lr_min)
    return cosine(epoch, epochs, config.weight_lr, config.weight_lr_min)


def step(epoch: int, start: float, factor: float, every: int) -> float:
    """`start` in the first `every` epochs, `factor` times less in each further stretch of as many."""
    return start * factor ** ((epoch - 1) // every)


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """Half a cosine wave: `start` in the first epoch, one step short of `end` in the last. SGDR (arXiv:1608.03983)."""
    return end + (start - end) * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2


def linear(epoch: int, epochs: int, end: float) -> float:
    """0 in the first epoch, one step short of `end` in the last: how drop-path grows in the authors' code."""
    return end * (epoch - 1) / epochs
