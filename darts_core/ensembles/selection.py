"""Forward selection of a committee's members. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Quality = tuple[float, ...]
"""The larger the better, its first number above all."""


@dataclass(frozen=True)
class Addition:
    """A step of the selection: which member came, and how good the committee is with it on the validation data."""

    member: int
    quality: Quality


def forward_selection(candidates: int, most: int, quality: Callable[[Sequence[int]], Quality]) -> list[Addition]:
    """Members in the order in which they were chosen, at most `most`, of candidates numbered from 0.

    quality: of a committee of these members (ascending). Every step adds the member that makes the best committee, the
    first of equals. What is given is the best beginning of that path, the shortest of equals: it is never worse than
    the best member alone. Caruana et al. (ICML 2004), without replacement.
    """
    path: list[Addition] = []
    left = list(range(candidates))
    while left and len(path) < most:
        here = [step.member for step in path]
        added = max(left, key=lambda member: (quality(sorted([*here, member])), -member))
        path.append(Addition(added, quality(sorted([*here, added]))))
        left.remove(added)
    best = max(range(len(path)), key=lambda end: (path[end].quality, -end))
    return path[: best + 1]
