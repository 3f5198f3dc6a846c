"""Fits a protocol into the hours: a study of several seeds, or one search and a retraining, shortened if need be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from api.advice.likes import EpochTime
from api.schemas.advice import Estimate

# The seeds and the final runs of a study, those of the paper's protocol, and fewer seeds where the hours are short.
_SEEDS: Final = (4, 3, 2)
FINAL_RUNS: Final = 3
_HOUR: Final = 3600


@dataclass(frozen=True)
class Training:
    """One of a protocol's trainings. epochs: of its preset."""

    time: EpochTime
    epochs: int

    def seconds(self, share: float = 1.0) -> float | None:
        return None if self.time.seconds is None else self.time.seconds * self.shortened(share)

    def shortened(self, share: float) -> int:
        """This share of the epochs, and at least one."""
        return max(1, math.floor(share * self.epochs))

    def estimate(self, share: float = 1.0) -> Estimate:
        """The cost of this share of the epochs."""
        return Estimate(seconds=self.seconds(share), epochs=self.shortened(share), job=self.time.job, how=self.time.how)


@dataclass(frozen=True)
class Plan:
    """seeds: of the searches; a study has several. share: of the presets' epochs. hours: of all of it; None if
    unknown.
    """

    seeds: int
    share: float
    hours: float | None


def plan(search: Training, short: Training, final: Training, *, gpus: int, hours: float) -> Plan:
    """The study with the most seeds that fits into the hours, or one search and a retraining.

    GPUs count where trainings run side by side, in a study. Without an estimate of all parts it is one search, and the
    known parts fit.
    """
    searching, choosing, training = search.seconds(), short.seconds(), final.seconds()
    if searching is not None and choosing is not None and training is not None:
        for seeds in _SEEDS:
            seconds = math.ceil(seeds / gpus) * (searching + choosing) + math.ceil(FINAL_RUNS / gpus) * training
            if seconds <= hours * _HOUR:
                return Plan(seeds, 1.0, seconds / _HOUR)
    known = (searching or 0.0) + (training or 0.0)
    share = min(1.0, hours * _HOUR / known) if known else 1.0
    parts = search.seconds(share), final.seconds(share)
    total = None if None in parts else sum(part or 0.0 for part in parts) / _HOUR
    return Plan(1, share, total)
