"""Computes mean and standard deviation from pixel histograms. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence


def moments(histogram: Sequence[int]) -> tuple[float, float]:
    """Mean and standard deviation, on the scale 0..1, of a histogram over the values 0..255.

    Sums exact integers, so the result is identical on every machine. A constant image gets deviation 1.
    """
    count = sum(histogram)
    first = sum(value * n for value, n in enumerate(histogram)) / count
    second = sum(value * value * n for value, n in enumerate(histogram)) / count
    return first / 255, max(second - first * first, 0.0) ** 0.5 / 255 or 1.0
