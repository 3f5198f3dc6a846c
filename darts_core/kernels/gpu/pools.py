"""Pools maps, and gives the gradients back, in Triton kernels.

Pooled maps are dense, (N, P, C, H, W); s, g and out have arbitrary strides between images.
"""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.sizes import accumulator, tile

_SIZES: Final = (
    "planes", "edges", "channels", "height", "width", "rows", "columns", "pixels",
    "kinds", "poolings", "states", "outs", "gn", "ge", "gc", "on", "oe", "oc", "sn", "sc",
)  # fmt: skip


def pooled(
    states: Sequence[Tensor], names: Sequence[str], stride: int, *, identity: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Pool the states, each (N, C, H, W).

    Returns the pooled maps of each state, followed by the states; the positions of the maxima in their windows
    (N, states, C, H, W); and parts of each pooled map's sum and sum of squares, (parts, poolings, 2, C), float64.
    """
    n, channels, height, width = states[0].shape
    rows, columns = -(-height // stride), -(-width // stride)
    poolings, kinds = len(states) * len(names), len(states) * (len(names) + identity)
    maps = states[0].new_empty(n, kinds, channels, rows, columns)
    places = states[0].new_empty(n, len(states), channels, rows, columns, dtype=torch.int8)
    planes, pixels = n * channels, rows * columns
    PLANES, PIXELS = tile(pixels)
    blocks = triton.cdiv(pixels, PIXELS)
    parts = maps.new_empty(n * blocks, max(1, poolings), 2, channels, dtype=torch.float64)
    _pool[(triton.cdiv(planes, PLANES), blocks, len(states))](
        tuple(states), maps, places, parts, planes, channels, height, width, rows, columns, kinds, poolings,
        *states[0].stride()[:2], MAX=_place(names, "max_pool_3x3"), AVERAGE=_place(names, "avg_pool_3x3"),
        STATES=len(states), POOLS=len(names), IDENTITY=identity, STRIDE=stride,
        PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(maps),
    )  # fmt: skip
    return maps, places, parts[:, :poolings]


def through(g: Tensor, maps: Tensor, coefficients: Tensor, feedback: Tensor, constant: Tensor) -> Tensor:
    """Return the gradients of the maps, deterministically; see `CellBackend.pool_backward`."""
    n, kinds, channels, rows, columns = maps.shape
    edges, pixels = g.shape[1], rows * columns
    result = torch.empty_like(maps)
    PLANES, PIXELS = tile(pixels)
    _through[(triton.cdiv(n * channels, PLANES), triton.cdiv(pixels, PIXELS))](
        g, maps, coefficients, feedback, constant, result, n * channels, edges, channels, pixels, *g.stride()[:3],
        MAPS=kinds, PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(maps),
    )  # fmt: skip
    return result


def towards(
    through: Tensor,
    places: Tensor,
    states: Sequence[Tensor],
    names: Sequence[str],
    stride: int,
    into: Sequence[Tensor | None],
) -> list[Tensor]:
    """Return the gradients of the states, deterministically.

    through: of the maps. into: tensors that they are added to, or none at all.
    """
    n, kinds, channels, rows, columns = through.shape
    height, width = states[0].shape[2:]
    PLANES, PIXELS = tile(height * width)
    add = into[0] is not None
    outs = [s.new_empty(s.shape) if before is None else before for s, before in zip(states, into, strict=True)]
    poolings = len(states) * len(names)
    _unpool[(triton.cdiv(n * channels, PLANES), triton.cdiv(height * width, PIXELS), len(states))](
        through, places, tuple(outs), n * channels, channels, height, width, rows, columns, kinds, poolings,
        MAX=_place(names, "max_pool_3x3"), AVERAGE=_place(names, "avg_pool_3x3"),
        STATES=len(states), POOLS=len(names), IDENTITY=kinds > poolings, ADD=add, STRIDE=stride,
        PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(through),
    )  # fmt: skip
    return outs


def _place(names: Sequence[str], name: str) -> int:
    return list(names).index(name) if name in names else -1


@triton.jit(do_not_specialize=_SIZES)
def _pool(
    states, maps, places, parts, planes, channels, height, width, rows, columns, kinds, poolings, sn, sc,
    MAX: tl.constexpr, AVERAGE: tl.constexpr, STATES: tl.constexpr, POOLS: tl.constexpr, IDENTITY: tl.constexpr,
    STRIDE: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < rows * columns
    both = there[:, None] & inside[None, :]
    image, channel = (plane // channels).to(tl.int64), plane % channels
    row, column = (pixel // columns) * STRIDE, (pixel % columns) * STRIDE
    number = tl.program_id(2)
    s = states[0]
    for one in tl.static_range(1, STATES):
        if number == one:
            s = states[one]
    source = (s + image * sn + channel * sc)[:, None] + (row * width + column)[None, :]
    largest = tl.full((PLANES, PIXELS), float("-inf"), SUM)
    total, where = tl.zeros((PLANES, PIXELS), SUM), tl.zeros((PLANES, PIXELS), tl.int32)
    count = tl.zeros((PIXELS,), SUM)
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            y, z = row + (i - 1), column + (j - 1)
            met = inside & (y >= 0) & (y < height) & (z >= 0) & (z < width)
            read = there[:, None] & met[None, :]
            value = tl.load(source + ((i - 1) * width + (j - 1)), mask=read, other=0).to(SUM)
            # Of equal values the first wins, as in torch; NaN persists.
            larger = read & ((value > largest) | (value != value))
            largest, where = tl.where(larger, value, largest), tl.where(larger, i * 3 + j, where)
            total += value
            count += tl.where(met, 1.0, 0.0)
    size = rows * columns
    target = (maps + ((image * kinds + number * POOLS) * channels + channel) * size)[:, None] + pixel[None, :]
    part = image * tl.num_programs(1) + tl.program_id(1)
    found = parts + (part * poolings + number * POOLS) * 2 * channels + channel
    if MAX >= 0:
        rounded = largest.to(maps.dtype.element_ty)
        tl.store(target + MAX * channels * size, rounded, mask=both)
        maxima = places + ((image * STATES + number) * channels + channel) * size
        tl.store(maxima[:, None] + pixel[None, :], where.to(tl.int8), mask=both)
        exact = tl.where(both, rounded.to(tl.float64), 0)
        tl.store(found + MAX * 2 * channels, tl.sum(exact, 1), mask=there)
        tl.store(found + (MAX * 2 + 1) * channels, tl.sum(exact * exact, 1), mask=there)
    if AVERAGE >= 0:
        rounded = (total / tl.maximum(count, 1.0)[None, :]).to(maps.dtype.element_ty)
        tl.store(target + AVERAGE * channels * size, rounded, mask=both)
        exact = tl.where(both, rounded.to(tl.float64), 0)
        tl.store(found + AVERAGE * 2 * channels, tl.sum(exact, 1), mask=there)
        tl.store(found + (AVERAGE * 2 + 1) * channels, tl.sum(exact * exact, 1), mask=there)
    if IDENTITY:
        target = (maps + ((image * kinds + poolings + number) * channels + channel) * size)[:, None] + pixel[None, :]
        tl.store(target, tl.load(source, mask=both, other=0), mask=both)


@triton.jit(do_not_specialize=_SIZES)
def _through(
    g, maps, coefficients, feedback, constant, through, planes, edges, channels, pixels, gn, ge, gc,
    MAPS: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there = plane < planes
    both = there[:, None] & (pixel < pixels)[None, :]
    image, channel = (plane // channels).to(tl.int64), plane % channels
    place = ((image * MAPS * channels + channel) * pixels)[:, None] + pixel[None, :]
    for kind in tl.static_range(MAPS):
        back = tl.load(feedback + kind * channels + channel, mask=there, other=0).to(SUM)
        total = tl.load(maps + place, mask=both, other=0).to(SUM) * back[:, None]
        total += tl.load(constant + kind * channels + channel, mask=there, other=0).to(SUM)[:, None]
        source = (g + image * gn + channel * gc)[:, None] + pixel[None, :]
        for edge in range(edges):
            factor = tl.load(coefficients + (edge * MAPS + kind) * channels + channel, mask=there, other=0).to(SUM)
            total += tl.load(source, mask=both, other=0).to(SUM) * factor[:, None]
            source += ge
        tl.store(through + place, total.to(through.dtype.element_ty), mask=both)
        place += channels * pixels


@triton.jit(do_not_specialize=_SIZES)
def _unpool(
    through, places, outs, planes, channels, height, width, rows, columns, kinds, poolings,
    MAX: tl.constexpr, AVERAGE: tl.constexpr, STATES: tl.constexpr, POOLS: tl.constexpr, IDENTITY: tl.constexpr,
    ADD: tl.constexpr, STRIDE: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < height * width
    both = there[:, None] & inside[None, :]
    image, channel = (plane // channels).to(tl.int64), plane % channels
    y, z = pixel // width, pixel % width
    size = rows * columns
    number = tl.program_id(2)
    out = outs[0]
    for one in tl.static_range(1, STATES):
        if number == one:
            out = outs[one]
    source = (through + ((image * kinds + number * POOLS) * channels + channel) * size)[:, None]
    maxima = (places + ((image * STATES + number) * channels + channel) * size)[:, None]
    total = tl.zeros((PLANES, PIXELS), SUM)
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            # The window that has this pixel at position (i, j).
            row, column = y - (i - 1), z - (j - 1)
            met = inside & (row >= 0) & (column >= 0) & (row % STRIDE == 0) & (column % STRIDE == 0)
            row, column = row // STRIDE, column // STRIDE
            met = met & (row < rows) & (column < columns)
            read = there[:, None] & met[None, :]
            at = (row * columns + column)[None, :]
            if MAX >= 0:
                chosen = tl.load(maxima + at, mask=read, other=-1) == i * 3 + j
                total += tl.load(source + MAX * channels * size + at, mask=read & chosen, other=0).to(SUM)
            if AVERAGE >= 0:
                top, left = row * STRIDE, column * STRIDE
                down = tl.minimum(top + 2, height) - tl.maximum(top - 1, 0)
                across = tl.minimum(left + 2, width) - tl.maximum(left - 1, 0)
                count = tl.maximum(down * across, 1).to(SUM)
                value = tl.load(source + AVERAGE * channels * size + at, mask=read, other=0).to(SUM)
                total += value / count[None, :]
    if IDENTITY:
        kept = (through + ((image * kinds + poolings + number) * channels + channel) * size)[:, None]
        total += tl.load(kept + pixel[None, :], mask=both, other=0).to(SUM)
    target = (out + plane.to(tl.int64) * (height * width))[:, None] + pixel[None, :]
    if ADD:
        total += tl.load(target, mask=both, other=0).to(SUM)
    tl.store(target, total.to(outs[0].dtype.element_ty), mask=both)
