"""Computes the stages of a search, as of P-DARTS (arXiv:1904.12760) and DrNAS (arXiv:2006.10355). Imports no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from darts_core.errors import Problem

_MOST_LAYERS: Final = 100
_LISTS: Final = ("stage_added_layers", "stage_skip_dropout", "stage_partial_channels")
"""Fields with a value for each stage, besides `stage_operations`."""


@dataclass(frozen=True)
class Stage:
    """A part of a search whose supernet stays the same.

    number: counted from 0. first, last: its epochs, counted from 1. layers: number of cells. operations: the largest
    number of operations of an edge; None for all. partial: K, if the operations see one of K channels. skip_dropout:
    the highest rate of the dropout of skip-connections.
    """

    number: int
    first: int
    last: int
    layers: int
    operations: int | None = None
    partial: int = 1
    skip_dropout: float = 0.0

    @property
    def epochs(self) -> int:
        """Number of its epochs."""
        return self.last - self.first + 1


def stages_of(values: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The stages of a resolved spec's values; a single one for a method without stages."""
    epochs, layers = values["epochs"], values.get("layers", 0)
    operations: Sequence[int | None] = values.get("stage_operations") or [None]
    count = len(operations)
    added = values.get("stage_added_layers") or [0] * count
    rates = values.get("stage_skip_dropout") or [0.0] * count
    partial = values.get("stage_partial_channels") or [values.get("partial_channels") or 1] * count
    return tuple(
        Stage(
            number,
            number * epochs // count + 1,
            (number + 1) * epochs // count,
            layers + added[number],
            operations[number],
            partial[number],
            rates[number],
        )
        for number in range(count)
    )


def stages_within(values: Mapping[str, Any], most: int) -> int:
    """The number of stages by default: one an epoch, at most `most`."""
    return min(most, int(values["epochs"]))


def shares(values: Mapping[str, Any], parts: Sequence[float], most: int) -> list[int]:
    """A default of `stage_operations`: these parts of the number of primitives, rounded up."""
    primitives = len(values.get("primitives") or ())
    return [max(1, math.ceil(part * primitives)) for part in parts[: stages_within(values, most)]]


def divisors(values: Mapping[str, Any], wanted: Sequence[int]) -> list[int]:
    """A default of `stage_partial_channels`: in each stage the largest divisor of the channels up to the wanted one."""
    channels, count = int(values["channels"]), len(values["stage_operations"])
    most = [*wanted, *[wanted[-1]] * count][:count]
    return [max(part for part in range(1, top + 1) if channels % part == 0) for top in most]


def stage_epochs(values: Mapping[str, Any]) -> int:
    """The epochs of the shortest stage."""
    return int(values["epochs"]) // max(1, len(values.get("stage_operations") or [None]))


def stage_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Check the values of the stages against each other, the epochs and the primitives."""
    operations = values.get("stage_operations")
    if operations is None:
        return []
    problems = []
    count, primitives = len(operations), len(values.get("primitives") or ())
    if count > values["epochs"]:
        problems.append(Problem(("stage_operations",), f"{count} stages need {count} epochs or more"))
    if operations[0] > primitives:
        message = f"the first stage has {operations[0]} operations on an edge, and there are {primitives}"
        problems.append(Problem(("stage_operations",), message))
    if any(later > earlier for earlier, later in itertools.pairwise(operations)):
        problems.append(Problem(("stage_operations",), "no stage has more operations than the one before it"))
    problems += [
        Problem((name,), f"has {len(values[name])} values for {count} stages")
        for name in _LISTS
        if values.get(name) is not None and len(values[name]) != count
    ]
    if any(
        values["layers"] + more > _MOST_LAYERS or values["layers"] + more < 1
        for more in values.get("stage_added_layers") or ()
    ):
        problems.append(Problem(("stage_added_layers",), f"a network has 1 to {_MOST_LAYERS} layers"))
    for place, partial in enumerate(values.get("stage_partial_channels") or ()):
        if values["channels"] % partial:
            message = f"{partial} does not divide {values['channels']} channels"
            problems.append(Problem(("stage_partial_channels", place), message))
    widths = values.get("stage_partial_channels") or ()
    if any(later > earlier for earlier, later in itertools.pairwise(widths)):
        problems.append(Problem(("stage_partial_channels",), "no stage has a larger K than the one before it"))
    if "eigenvalue_growth" in (values.get("stop_when") or {}):
        message = "returns the cell of an earlier epoch, whose stage is gone: stop by another sign"
        problems.append(Problem(("stop_when", "eigenvalue_growth"), message))
    return problems
