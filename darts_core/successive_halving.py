"""Chooses the trials that go on by asynchronous successive halving (ASHA): Li et al. 2020 (arXiv:1810.05934),
section 3.2, algorithm 2. Imports no torch.

A rung is a resource, such as a number of epochs, after which a trial has a value. Higher values are better; of equal
ones the first that arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TypeVar

Trial = TypeVar("Trial", bound=Hashable)


def rungs(least: int, most: int, eta: int) -> list[int]:
    """The resources of all rungs: `least` times the powers of `eta` below `most`, and `most` itself.

    Raises ValueError unless 1 <= least <= most and eta >= 2.
    """
    if not 1 <= least <= most or eta < 2:
        raise ValueError(f"expected 1 <= least <= most and eta >= 2, got {least}, {most} and {eta}")
    found, resource = [], least
    while resource < most:
        found.append(resource)
        resource *= eta
    return [*found, most]


def next_promotion(
    values: Sequence[Mapping[Trial, float]], promoted: Sequence[Collection[Trial]], eta: int
) -> tuple[Trial, int] | None:
    """The trial to promote next and the rung that it leaves; None if the bottom rung should grow.

    values: of each rung those of its trials so far, in the order of arrival. promoted: of each rung the trials that
    left it upwards, whether they have arrived or not. A trial is promoted while it is among the best 1/eta of its rung;
    the highest rung with such a trial comes first.
    """
    for rung in reversed(range(len(values) - 1)):
        for trial in best(values[rung], len(values[rung]) // eta):
            if trial not in promoted[rung]:
                return trial, rung
    return None


def best(values: Mapping[Trial, float], count: int) -> list[Trial]:
    """The `count` best trials, best first."""
    return sorted(values, key=values.__getitem__, reverse=True)[:count]
