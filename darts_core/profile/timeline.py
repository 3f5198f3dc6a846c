"""Sums up a recording of operations: the time and calls of each, and the time in which any ran. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Event(NamedTuple):
    """An operation or kernel, from start to end in nanoseconds. Events may be nested, or overlap."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Operation:
    """All calls of one name. milliseconds: without the operations inside them."""

    name: str
    calls: int
    milliseconds: float


@dataclass(frozen=True)
class Timeline:
    """The sum of a recording. busy: milliseconds in which any event ran. operations: longest first."""

    busy: float
    calls: int
    operations: tuple[Operation, ...]


def timeline(events: Iterable[Event]) -> Timeline:
    """Sum up the events. Time in which several run counts once, for the one that began last."""
    own: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    running: list[Event] = []
    now = 0

    def advance(to: int) -> None:
        """Share out the time until then, and end the events that are over."""
        nonlocal now
        while running:
            event = running[-1]
            until = max(now, min(event.end, to))
            own[event.name] += until - now
            now = until
            if event.end > to:
                return
            running.pop()

    for event in sorted(events, key=lambda event: (event.start, -event.end)):
        advance(event.start)
        now = max(now, event.start)
        calls[event.name] += 1
        running.append(event)
    while running:
        advance(running[-1].end)
    operations = [Operation(name, calls[name], time / 1e6) for name, time in own.most_common()]
    return Timeline(own.total() / 1e6, calls.total(), tuple(operations))
