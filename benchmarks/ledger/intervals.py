"""Bootstrap intervals over seeds: of a mean, and of the mean difference of two methods on the same seeds.

With five seeds no rank test reaches a level of 0.05, and a bootstrap interval of so few values is too narrow by some
tenths of its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import bootstrap

LEVEL: Final = 0.95
_RESAMPLES: Final = 9999


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its percentile bootstrap interval at LEVEL."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float]) -> Interval:
    """The interval of the mean. Raises ValueError for fewer than two values."""
    if len(values) < 2:
        raise ValueError(f"an interval needs two values or more, not {len(values)}")
    mean = float(np.mean(values))
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    found = bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def paired_difference(values: Sequence[float], others: Sequence[float]) -> Interval:
    """The interval of the mean of `values - others`, pair by pair. Raises ValueError for unequal lengths."""
    return interval([value - other for value, other in zip(values, others, strict=True)])


def signed(difference: Interval | None) -> str:
    """A difference as text, with the ends of its interval; empty for None."""
    if difference is None:
        return ""
    return f"{difference.mean:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"
