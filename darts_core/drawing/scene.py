"""Composes a picture as positioned boxes, lines and texts, the input of both renderers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from darts_core.drawing.cells import HEADINGS, Cell, Operation
from darts_core.drawing.curves import Point
from darts_core.drawing.layout import Box, Curve, Layout, layout_of
from darts_core.drawing.palette import FACTORISED, LEGEND, NASBENCH201_LEGEND, role_of
from darts_core.spaces.nasbench201 import CELL

# Line widths in pixels: without strengths, and by an operation's weight from 0 to 1.
PLAIN_WIDTH: Final = 2.0
_THINNEST, _THICKEST = 1.0, 7.0

_EDGE: Final = 20.0  # between the outermost line and the edge of the picture
_TITLE: Final = 34.0
_HEADING: Final = 32.0
_LEGEND: Final = 34.0
_ROW: Final = 20.0
_REMARK: Final = "the wider the line, the larger the weight"


@dataclass(frozen=True)
class Words:
    """Text centred at x on the baseline y; `_{...}` is a subscript. size in pixels."""

    text: str
    x: float
    y: float
    size: float
    role: str
    bold: bool = False

    def runs(self) -> Iterator[tuple[str, bool]]:
        """The text's parts, each with whether it is a subscript: `c_{k-1}` is `c` and the subscript `k-1`."""
        for plain, lower in re.findall(r"((?:(?!_\{)[\s\S])+)|_\{([^}]*)\}", self.text):
            yield (plain, False) if plain else (lower, True)


@dataclass(frozen=True)
class Shape:
    """A rounded box with a label."""

    box: Box
    role: str
    label: str = ""
    radius: float = 7.0

    def words(self) -> Words:
        """The centred label."""
        return Words(self.label, self.box.x, self.box.y + 4.5, 13, self.role)


@dataclass(frozen=True)
class Line:
    """A curve, with an arrow when it has a tip."""

    curve: Curve
    role: str
    width: float
    dashed: bool = False

    def arrow_head(self) -> tuple[Point, Point, Point] | None:
        """The arrow's triangle, scaled with the line's width; None when the curve has no tip."""
        tip, base = self.curve.tip, self.curve.points[-1]
        if tip is None:
            return None
        along = (tip[0] - base[0], tip[1] - base[1])
        half = max(3.6, self.width / 2 + 2.8) / (math.hypot(*along) or 1.0)
        across = (-along[1] * half, along[0] * half)
        return tip, (base[0] + across[0], base[1] + across[1]), (base[0] - across[0], base[1] - across[1])


@dataclass(frozen=True)
class Group:
    """Shapes and lines with a common tooltip. title: the tooltip; empty for none."""

    items: tuple[Words | Shape | Line, ...]
    title: str = ""


@dataclass(frozen=True)
class Scene:
    """A whole picture. title and description: alternative text."""

    width: float
    height: float
    title: str
    description: str
    groups: tuple[Group, ...]


def line_width(weight: float | None) -> float:
    """In pixels, linear in the weight."""
    return PLAIN_WIDTH if weight is None else round(_THINNEST + (_THICKEST - _THINNEST) * weight, 2)


def half_widths(cells: Sequence[Cell]) -> tuple[float, ...]:
    """Distance from each cell's middle to its edge, at least that of most cells with as many nodes."""
    return tuple(max(layout_of(cell).half_width, _usual_half_width(cell)) for cell in cells)


def scene_of(cells: Sequence[Cell], title: str = "", reach: Sequence[float] | None = None) -> Scene:
    """Place the cells side by side. reach: minimum `half_widths`, for pictures of equal size."""
    layouts = [layout_of(cell) for cell in cells]
    reach = half_widths(cells) if reach is None else reach
    height = max(layout.height for layout in layouts)
    width = 2 * sum(reach) + 2 * _EDGE
    top = _EDGE / 2 + (_TITLE if title else 0) + _HEADING
    groups: list[Group] = []
    if title:
        shown, size = _fitting(title, width - _EDGE)
        groups.append(Group((Words(shown, width / 2, _EDGE / 2 + 22, size, "heading", bold=True),)))
    left = _EDGE
    for cell, layout, half in zip(cells, layouts, reach, strict=True):
        groups += _cell_groups(cell, _Place(layout, left + half, top))
        left += 2 * half
    bottom = top + height
    for row, y in zip(_legend(cells, width - 2 * _EDGE), (bottom + _LEGEND, bottom + _LEGEND + _ROW), strict=False):
        groups += _legend_row(row, width / 2, y)
        bottom = y
    told = " ".join(filter(None, map(describe, cells)))
    named = title or " and ".join(HEADINGS[cell.kind] for cell in cells)
    return Scene(width, bottom + _EDGE, named, told, tuple(groups))


def describe(cell: Cell) -> str:
    """Describe the cell in sentences."""
    parts = [f"{HEADINGS[cell.kind]}."]
    if cell.recurrent:
        parts.append("State 0 is made of the inputs x_t and h_{t-1}.")
    for number, operations in enumerate(cell.nodes, cell.first):
        sums = " plus ".join(_in_words(cell, o) for o in operations) or "empty"
        parts.append(f"Node {number} is {sums}.")
    if cell.kind == CELL:
        return " ".join([*parts, f"The output is node {cell.concat[0]}."])
    joined = "mean" if cell.recurrent else "concatenation"
    nodes = "node" if len(cell.concat) == 1 else "nodes"
    parts.append(f"The output is the {joined} of {nodes} {', '.join(map(str, cell.concat))}.")
    return " ".join(parts)


@dataclass(frozen=True)
class _Place:
    """A layout translated to its position in the picture."""

    layout: Layout
    x: float
    y: float

    def box(self, *key: str | int) -> Box:
        found = self.layout.boxes[key]
        return Box(found.x + self.x, found.y + self.y, found.width, found.height)

    def curve(self, *key: str | int) -> Curve:
        found = self.layout.curves[key]
        moved = tuple((x + self.x, y + self.y) for x, y in found.points)
        return Curve(moved, None if found.tip is None else (found.tip[0] + self.x, found.tip[1] + self.y))


def _cell_groups(cell: Cell, place: _Place) -> Iterator[Group]:
    """Lines to the output are drawn below everything else, nodes on top."""
    yield Group((Words(HEADINGS[cell.kind], place.x, place.y - 14, 14, "heading", bold=True),))
    for number in cell.concat:
        title = f"node {number} to the output"
        yield Group((Line(place.curve("concat", number), "concat", 1.5, dashed=True),), title)
    if cell.recurrent:
        yield Group(tuple(Line(place.curve("feed", i), "end", PLAIN_WIDTH) for i in (0, 1)))
    for number, operations in enumerate(cell.nodes, cell.first):
        for i, operation in enumerate(operations):
            yield _operation(cell, place, number, i, operation)
    for i, label in enumerate(cell.inputs):
        yield Group((Shape(place.box("input", i), "end", label),))
    if cell.recurrent:
        yield _node(place, 0)
    yield from (_node(place, number) for number in range(cell.first, cell.first + len(cell.nodes)))
    joined = "" if cell.kind == CELL else "mean" if cell.recurrent else "concatenation"
    yield Group((Shape(place.box("output"), "end", cell.output),), joined)


def _operation(cell: Cell, place: _Place, node: int, i: int, operation: Operation) -> Group:
    role, width = role_of(operation.name), line_width(operation.weight)
    parts = (
        Line(place.curve("read", node, i), role, width),
        Line(place.curve("join", node, i), role, width),
        Shape(place.box("operation", node, i), role, operation.name),
    )
    return Group(parts, f"node {node}: {_in_words(cell, operation)}")


def _node(place: _Place, number: int) -> Group:
    box = place.box("state", number)
    return Group((Shape(box, "node", str(number), radius=box.height / 2),))


def _in_words(cell: Cell, operation: Operation) -> str:
    weight = "" if operation.weight is None else f" (weight {operation.weight:.2f})"
    return f"{operation.name} of {cell.state(operation.source)}{weight}"


def _usual_half_width(cell: Cell) -> float:
    # Measured over random cells: few with as many nodes need more. A recurrent cell is narrower than its picture's
    # title.
    return max(190.0, 60.0 + 24.0 * len(cell.nodes)) if cell.recurrent else 130.0 + 30.0 * len(cell.nodes)


def _legend(cells: Sequence[Cell], room: float) -> list[list[str]]:
    """The key to colours and widths, in one row or two.

    Activations are not listed: each has its own colour and its name on it.
    """
    operations = [o for cell in cells for node in cell.nodes for o in node]
    entries: list[str] = []
    if any(cell.kind == CELL for cell in cells):
        entries = [*NASBENCH201_LEGEND]
    elif not any(cell.recurrent for cell in cells):
        entries = [*LEGEND, *([FACTORISED] if any(role_of(o.name) == FACTORISED for o in operations) else [])]
    remark = [_REMARK] if any(o.weight is not None for o in operations) else []
    if sum(map(_entry_width, entries + remark)) <= room:
        return [row for row in [entries + remark] if row]
    return [row for row in (entries, remark) if row]


def _legend_row(entries: list[str], middle: float, y: float) -> Iterator[Group]:
    left = middle - sum(map(_entry_width, entries)) / 2
    for entry in entries:
        width = _entry_width(entry)
        if entry == _REMARK:
            yield Group((Words(entry, left + width / 2, y, 12, "remark"),))
        else:
            swatch = Shape(Box(left + 8, y - 4, 16, 12), entry, radius=3)
            yield Group((swatch, Words(entry, left + 22 + (width - 38) / 2, y, 12, "remark")))
        left += width


def _fitting(title: str, room: float) -> tuple[str, float]:
    """Fit the title's size to the picture: widening a narrow cell would move its nodes with the title's length."""
    size = max(10.0, min(16.0, room / _text_width(title, 1, bold=True)))
    most = int(room / _text_width("x", size, bold=True))
    return title if len(title) <= most else title[: most - 1] + "…", round(size, 1)


def _entry_width(entry: str) -> float:
    return _text_width(entry, 12) + (0 if entry == _REMARK else 38)


def _text_width(text: str, size: float, bold: bool = False) -> float:
    # An estimate for any sans-serif font; the renderers' fonts differ.
    return (0.7 if bold else 0.6) * size * len(text)
