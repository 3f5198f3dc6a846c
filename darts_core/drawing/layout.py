"""Lays out a cell with Graphviz.

All boxes hang on one vertical spine, inputs on top; the operations of a node are side by side above it. Positions
depend only on the number of nodes, so that between epochs only changed edges move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal

from darts_core.drawing.cells import Cell
from darts_core.drawing.curves import Point, rounded, sharpest
from darts_core.drawing.graphviz import laid_out
from darts_core.drawing.wiring import CLEARANCE, GAP, HEIGHT, OUTPUT_WIDTH, Wiring
from darts_core.errors import DrawingError

_ROUNDING: Final = 26.0
# A turn of so many radians within a few pixels looks like a fault.
_SHARP: Final = 1.2
# Pixels between neighbouring lines.
_LANE: Final = 30.0
_MARGIN: Final = 8.0


@dataclass(frozen=True)
class Box:
    """A rectangle, by its centre."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Curve:
    """Cubic Bezier segments: a start, then two control points and an end for each. tip: of the arrow, if any."""

    points: tuple[Point, ...]
    tip: Point | None


@dataclass(frozen=True)
class Layout:
    """Boxes and curves by key, in pixels from the top of the spine; x is 0 on the spine, y grows downwards.

    Boxes: ("input", i), ("operation", node, i), ("state", number), ("output",). Curves: ("feed", i) from an input to
    state 0, ("read", node, i) from a state to an operation, ("join", node, i) from an operation to its node, ("concat",
    number) to the output. half_width: the largest distance from the spine.
    """

    boxes: dict[tuple[Any, ...], Box]
    curves: dict[tuple[Any, ...], Curve]
    half_width: float
    height: float


def layout_of(cell: Cell) -> Layout:
    """Lay out the cell. Raises DrawingError when Graphviz is missing."""
    return _layout(Wiring.of(cell))


@lru_cache(maxsize=256)
def _layout(wiring: Wiring) -> Layout:
    try:
        found = _placed(wiring, "spline")
    except DrawingError:  # sometimes a spline fits nowhere, and Graphviz gives up the whole graph
        found = _placed(wiring, "polyline")
    if any(_swings(curve, wiring) for curve in found.curves.values()):
        # Splines look better, but some swing out or form a knot; polylines never do.
        straight = _placed(wiring, "polyline").curves
        curves = {key: straight[key] if _swings(line, wiring) else line for key, line in found.curves.items()}
        found = replace(found, curves=curves)
    reach = [abs(x) for curve in found.curves.values() for x, _ in curve.points]
    return replace(found, half_width=max(found.half_width, *reach) + _MARGIN)


def _placed(wiring: Wiring, splines: Literal["spline", "polyline"]) -> Layout:
    graph = laid_out(wiring.dot(splines))
    centres = {node["name"]: _points(node["pos"])[0] for node in graph["objects"]}
    spine, top = centres["inputs"][0], centres["inputs"][1] + HEIGHT / 2

    def placed(point: Point) -> Point:
        return round(point[0] - spine, 1), round(top - point[1], 1)

    boxes = dict(_boxes(wiring, {name: placed(centre) for name, centre in centres.items()}))
    curves = {}
    for edge in graph["edges"]:
        if "id" in edge:
            kind, *numbers = edge["id"].split()
            key = (kind, *map(int, numbers))
            points, tip = _line(edge["pos"], placed, *_row_widths(wiring, *key))
            curves[key] = Curve(tuple(rounded(points[::3], _ROUNDING) if splines == "polyline" else points), tip)
    output = boxes["output",]
    return Layout(boxes, curves, max(abs(b.x) + b.width / 2 for b in boxes.values()), output.y + output.height / 2)


def _swings(curve: Curve, wiring: Wiring) -> bool:
    """Whether a line turns sharply, or reaches further out than lines side by side need."""
    lines = sum(map(len, wiring.sources)) + len(wiring.concat)
    furthest = max(abs(x) for x, _ in curve.points)
    # The last segment may be the short one that enters a box.
    return furthest > wiring.row_width(2) / 2 + _LANE * lines or sharpest(curve.points[:-3]) > _SHARP


def _boxes(wiring: Wiring, centres: dict[str, Point]) -> Iterator[tuple[tuple[Any, ...], Box]]:
    for name, (x, y) in centres.items():
        if name == "output":
            yield ("output",), Box(x, y, OUTPUT_WIDTH, HEIGHT)
        elif name.startswith("state"):
            yield ("state", int(name.removeprefix("state"))), Box(x, y, HEIGHT, HEIGHT)
        else:
            key: tuple[Any, ...] = ("input",)
            count = wiring.inputs
            if name != "inputs":
                number = int(name.removeprefix("operations"))
                key, count = ("operation", number), len(wiring.sources[number - wiring.first])
            width = wiring.operation_width
            for i in range(count):
                yield (*key, i), Box(x + (i - (count - 1) / 2) * (width + GAP), y, width, HEIGHT)


def _row_widths(wiring: Wiring, kind: str, number: int, place: int = 0) -> tuple[float, float]:
    """Widths of the rows in which a line begins and ends; infinite for a box that is no row."""
    if kind == "feed":
        return wiring.row_width(wiring.inputs), math.inf
    if kind == "concat":
        return math.inf, math.inf
    sources = wiring.sources[number - wiring.first]
    row = wiring.row_width(len(sources))
    if kind == "join":
        return row, math.inf
    of_inputs = sources[place] < wiring.first and not wiring.recurrent
    return wiring.row_width(wiring.inputs) if of_inputs else math.inf, row


def _line(pos: str, placed: Callable[[Point], Point], begins: float, ends: float) -> tuple[list[Point], Point | None]:
    # The leading `e,x,y` is the arrow's tip, where the line would end.
    tip = None
    if pos.startswith("e,"):
        first, pos = pos[2:].split(" ", 1)
        tip = placed(_points(first)[0])
    points = [placed(point) for point in _points(pos)]
    # Graphviz is given wider rows than drawn, to keep lines at a distance; the line crosses that gap horizontally.
    if _at_side(points[0], begins):
        begin = (math.copysign(begins / 2, points[0][0]), points[0][1])
        points = [begin, begin, points[0], *points]
    if tip is not None and _at_side(tip, ends):
        points += [points[-1], tip, tip]
        tip = (math.copysign(ends / 2, tip[0]), tip[1])
    return points, tip


def _at_side(point: Point, row: float) -> bool:
    return abs(abs(point[0]) - row / 2 - CLEARANCE) < 4


def _points(text: str) -> list[Point]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]
