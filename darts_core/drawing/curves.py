"""Geometry of cubic Bezier curves: a start, then two control points and an end per segment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

Point = tuple[float, float]


def rounded(corners: Sequence[Point], most: float) -> Iterator[Point]:
    """Round the corners of a polyline, deviating at most so far from each corner."""
    start = corners[0]
    yield start
    for (before, corner), (_, after) in pairwise(pairwise(corners)):
        room = min(most, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        begin, end = _towards(corner, before, room), _towards(corner, after, room)
        yield from (start, begin, begin)
        yield from (_towards(begin, corner, room * 2 / 3), _towards(end, corner, room * 2 / 3), end)
        start = end
    yield from (start, corners[-1], corners[-1])


@lru_cache(maxsize=1024)
def flattened(points: tuple[Point, ...], pieces: int = 14) -> list[Point]:
    """Approximate the curve by so many straight segments per cubic."""
    flat = [points[0]]
    for first in range(0, len(points) - 1, 3):
        for step in range(1, pieces + 1):
            t = step / pieces
            u = 1 - t
            weighted = list(zip((u**3, 3 * u * u * t, 3 * u * t * t, t**3), points[first : first + 4], strict=True))
            flat.append((sum(w * p[0] for w, p in weighted), sum(w * p[1] for w, p in weighted)))
    return flat


def sharpest(points: tuple[Point, ...], within: float = 6.0) -> float:
    """The largest turn within so many pixels, in radians."""
    pieces = [(a, b) for a, b in pairwise(flattened(points)) if math.dist(a, b) > 0.1]
    directions = [math.atan2(b[1] - a[1], b[0] - a[0]) for a, b in pieces]
    turns = [abs(math.remainder(b - a, math.tau)) for a, b in pairwise(directions)]
    most = 0.0
    for first in range(len(turns)):
        length, turned = 0.0, turns[first]
        for (a, b), turn in zip(pieces[first + 1 :], turns[first + 1 :], strict=False):
            length += math.dist(a, b)
            if length > within:
                break
            turned += turn
        most = max(most, turned)
    return most


def dashes(flat: Sequence[Point], on: float, off: float) -> Iterator[list[Point]]:
    """Cut a polyline into dashes."""
    drawn, left, dash = True, on, [flat[0]]
    for begin, end in pairwise(flat):
        at, length = begin, math.dist(begin, end)
        while length > left:
            at = _towards(at, end, left)
            if drawn:
                yield [*dash, at]
            dash, length = [at], length - left
            drawn, left = not drawn, off if drawn else on
        left -= length
        dash.append(end)
    if drawn and len(dash) > 1:
        yield dash


def _towards(point: Point, other: Point, length: float) -> Point:
    share = length / (math.dist(point, other) or 1.0)
    return point[0] + (other[0] - point[0]) * share, point[1] + (other[1] - point[1]) * share
