"""The images to hold out of data that comes without a test or validation part. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

# Of all images, and of those that are left to train on.
TEST_SHARE: Final = 0.2
VALID_SHARE: Final = 0.1


def held_out_indices(labels: Sequence[int], names: Sequence[str], size: int) -> list[int]:
    """Which images to hold out for testing: `size` of them, each class in proportion, ascending indices.

    No seed: the test set is part of the data, the same for every run on every machine. Within a class the images whose
    names have the lowest SHA-256 are taken, so that neither their order nor a new file moves many others. A class never
    gives away its last image.
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
    """Shares of `size` in proportion: rounded down, the rest to the largest remainders, low labels first."""
    total = sum(counts.values())
    quotas = {label: size * count // total for label, count in counts.items()}
    by_remainder = sorted(counts, key=lambda label: (-(size * counts[label] % total), label))
    for label in by_remainder[: size - sum(quotas.values())]:
        quotas[label] += 1
    return {label: min(quota, counts[label] - 1) for label, quota in quotas.items()}


def _digest(name: str) -> bytes:
    """A file's name may hold bytes that are no UTF-8; they come back as they were."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
