"""Reduces a cell to its connections, on which its layout depends, and writes them as DOT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from darts_core.drawing.cells import Cell

HEIGHT: Final = 28.0
GAP: Final = 12.0
# Space kept free for lines on either side of a row.
CLEARANCE: Final = 12.0
OUTPUT_WIDTH: Final = 96.0
_POINTS_PER_INCH: Final = 72
# Outweighs all lines together.
_HEAVY: Final = 1000


@dataclass(frozen=True)
class Wiring:
    """inputs: their number. sources: of each node's operations; none for an empty node."""

    inputs: int
    recurrent: bool
    sources: tuple[tuple[int, ...], ...]
    concat: tuple[int, ...]

    @classmethod
    def of(cls, cell: Cell) -> Wiring:
        """The wiring of a cell, without its operations."""
        return cls(
            len(cell.inputs), cell.recurrent, tuple(tuple(o.source for o in node) for node in cell.nodes), cell.concat
        )

    @property
    def first(self) -> int:
        """The number of the first node."""
        return 1 if self.recurrent else self.inputs

    @property
    def operation_width(self) -> float:
        """Width of one operation's box; names of activations are shorter."""
        return 84.0 if self.recurrent else 108.0

    def row_width(self, count: int) -> float:
        """Width of so many operations side by side."""
        return count * self.operation_width + (count - 1) * GAP

    def dot(self, splines: Literal["spline", "polyline"]) -> str:
        """The graph as DOT, with numbers only and no names. A line's `id` is its key in the layout, separated by
        spaces.
        """
        return "\n".join(self._dot(splines))

    def _dot(self, splines: str) -> Iterator[str]:
        numbers = range(self.first, self.first + len(self.sources))
        rows = [
            ([f"operations{n}"] if sources else [], f"state{n}")
            for n, sources in zip(numbers, self.sources, strict=True)
        ]
        nodes = (name for operations, state in rows for name in (*operations, state))
        spine = ["inputs", *(["state0"] if self.recurrent else []), *nodes, "output"]
        links = list(self._links())
        drawn = {(tail, head) for tail, head, _ in links}
        yield "digraph {"
        yield f"  splines={splines}; mclimit=2; nodesep=0.2; ranksep=0.3;"
        yield '  node [fixedsize=true, label=""]; edge [arrowsize=0.75];'
        for tail, head in pairwise(spine):
            if (tail, head) not in drawn:
                yield f"  {tail} -> {head} [style=invis, weight={_HEAVY}];"
        yield _node("inputs", self.row_width(self.inputs), ports=self.inputs)
        if self.recurrent:
            yield _node("state0", HEIGHT)
        for (operations, state), sources in zip(rows, self.sources, strict=True):
            yield from (_node(name, self.row_width(len(sources)), ports=len(sources)) for name in operations)
            yield _node(state, HEIGHT)
        yield _node("output", OUTPUT_WIDTH)
        for tail, head, options in links:
            heavy = f", weight={_HEAVY}" if (tail, head) in set(pairwise(spine)) else ""
            yield f"  {tail} -> {head} [{options}{heavy}];"
        yield "}"

    def _links(self) -> Iterator[tuple[str, str, str]]:
        """Tail, head and options of every line."""
        if self.recurrent:
            yield from ((f"inputs:{i}:s", "state0", f'id="feed {i}", dir=none') for i in (0, 1))
        for number, sources in enumerate(self.sources, self.first):
            for i, source in enumerate(sources):
                tail = self._tail(source)
                port, below = (f":{i}", f":{i}:s") if len(sources) > 1 else ("", "")
                yield tail, f"operations{number}{port}", f'id="read {number} {i}"'
                yield f"operations{number}{below}", f"state{number}", f'id="join {number} {i}", dir=none'
        yield from ((f"state{number}", "output", f'id="concat {number}"') for number in self.concat)

    def _tail(self, source: int) -> str:
        if source >= self.first or self.recurrent:
            return f"state{source}"
        return f"inputs:{source}" if self.inputs > 1 else "inputs"


def _node(name: str, width: float, ports: int = 0) -> str:
    if ports > 1:  # a record with a field per operation
        width += 2 * CLEARANCE
        shape = f'shape=record, label="{"|".join(f"<{i}>" for i in range(ports))}"'
    else:
        shape = "shape=circle" if name.startswith("state") else "shape=box"
    return f"  {name} [{shape}, width={width / _POINTS_PER_INCH:.4f}, height={HEIGHT / _POINTS_PER_INCH:.4f}];"
