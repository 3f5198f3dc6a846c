"""Selects an ensemble's members by forward selection. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Quality = tuple[float, ...]
"""Compared lexicographically; larger is better."""


@dataclass(frozen=True)
class Addition:
    """One selection step: the added member and the ensemble's quality on the validation data."""

    member: int
    quality: Quality


def forward_selection(candidates: int, most: int, quality: Callable[[Sequence[int]], Quality]) -> list[Addition]:
    """Select at most `most` of the candidates 0..candidates-1; returns the members in the order of selection.

    quality: of an ensemble of these members (ascending). Each step adds the member that makes the best ensemble, ties
    to the lowest number. The result is the best prefix of that path, the shortest among equals, hence never worse than
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
