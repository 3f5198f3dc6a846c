"""Defines what the sampler of a study is told of a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """A point so far. Higher values are better.

    value: its last one. by_epoch: those before, of a strategy. ended: without a value it has failed, or a strategy has
    left it behind.
    """

    value: float | None = None
    by_epoch: Mapping[int, float] = field(default_factory=dict)
    ended: bool = False

    @property
    def is_awaited(self) -> bool:
        return self.value is None and not self.ended
