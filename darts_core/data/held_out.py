"""Selects held-out images for data without a test or validation part. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

# Fractions of all images, and of those left for training.
TEST_SHARE: Final = 0.2
VALID_SHARE: Final = 0.1


def held_out_indices(labels: Sequence[int], names: Sequence[str], size: int) -> list[int]:
    """Choose `size` test images, stratified by class; returns ascending indices.

    Without a seed: the test set is part of the data, identical for every run on every machine. Within a class the
    images whose names have the lowest SHA-256 are taken, so that reordering or adding files moves few others. A class
    always keeps one image.
    """
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    quotas = _apportion({label: len(indices) for label, indices in members.items()}, size)
    chosen: list[int] = []
    for label, indices in members.items():
        chosen += sorted(indices, key=lambda i: _digest(names[i]))[: quotas[label]]
    return sorted(chosen)


def _apportion(counts: dict[int, int], size: int) -> dict[int, int]:
    """Split `size` in proportion to the shares: round down, then give the rest to the largest remainders, low labels
    first.
    """
    total = sum(counts.values())
    quotas = {label: size * count // total for label, count in counts.items()}
    by_remainder = sorted(counts, key=lambda label: (-(size * counts[label] % total), label))
    for label in by_remainder[: size - sum(quotas.values())]:
        quotas[label] += 1
    return {label: min(quota, counts[label] - 1) for label, quota in quotas.items()}


def _digest(name: str) -> bytes:
    """SHA-256 of a file name, whose bytes need not be UTF-8."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
