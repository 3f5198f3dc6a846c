"""Pools maps and sums scaled maps over edges, in Triton kernels.

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

from darts_core.kernels.gpu.sizes import accumulator, chunks_of, tile

_SUMMED: Final = 512
_BLOCK: Final = 256
_SIZES: Final = (
    "planes", "edges", "channels", "height", "width", "rows", "columns", "numbers", "each", "pixels",
    "gn", "ge", "gc", "on", "oe", "oc", "sn", "sc",
)  # fmt: skip


def pooled(s: Tensor, names: Sequence[str], stride: int, *, identity: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Pool s. Returns the maps, the positions of the maxima in their windows (N, C, H, W), and each pooled map's sum
    and sum of squares (len(names), 2, C), float64.
    """
    n, channels, height, width = s.shape
    rows, columns = -(-height // stride), -(-width // stride)
    maps = s.new_empty(n, len(names) + identity, channels, rows, columns)
    places = s.new_empty(n, channels, rows, columns, dtype=torch.int8)
    planes, pixels = n * channels, rows * columns
    PLANES, PIXELS = tile(pixels)
    blocks = triton.cdiv(pixels, PIXELS)
    parts = s.new_empty(n, blocks, max(1, len(names)), 2, channels, dtype=torch.float64)
    _pool[(triton.cdiv(planes, PLANES), blocks)](
        s, maps, places, parts, planes, channels, height, width, rows, columns, *s.stride()[:2],
        MAX=_place(names, "max_pool_3x3"), AVERAGE=_place(names, "avg_pool_3x3"), POOLS=len(names), IDENTITY=identity,
        STRIDE=stride, PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(s),
    )  # fmt: skip
    return maps, places, parts.sum((0, 1))[: len(names)]


def moments_of(sums: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """Return the means and biased variances (K, C) of K maps by the sums of `pooled` over so many pixels, float64."""
    kinds, _, channels = sums.shape
    found = sums.new_empty(2, kinds, channels)
    numbers = kinds * channels
    if numbers:
        _moments[(triton.cdiv(numbers, _BLOCK),)](sums, found, numbers, channels, pixels, BLOCK=_BLOCK)
    return found[0], found[1]


def mix(maps: Tensor, coefficients: Tensor, out: Tensor) -> None:
    """Add the scaled maps to out (N, E, C, H, W). coefficients: (E, P, C)."""
    n, edges, channels, rows, columns = out.shape
    pixels = rows * columns
    PLANES, PIXELS = tile(pixels)
    _mix[(triton.cdiv(n * channels, PLANES), triton.cdiv(pixels, PIXELS))](
        maps, coefficients, out, n * channels, edges, channels, pixels, *out.stride()[:3],
        MAPS=maps.shape[1], PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(maps),
    )  # fmt: skip


def mix_products(g: Tensor, maps: Tensor) -> Tensor:
    """Return the sums of g times each map over all pixels, (E, P, C), float64, deterministically."""
    n, edges, channels, rows, columns = g.shape
    numbers, kinds = n * rows * columns, maps.shape[1]
    chunks, each = chunks_of(numbers, _SUMMED, edges * channels)
    parts = g.new_empty(chunks, edges, kinds, channels, dtype=torch.promote_types(g.dtype, torch.float32))
    _mix_products[(edges * channels, chunks)](
        g, maps, parts, numbers, each, edges, channels, rows * columns, *g.stride()[:3],
        MAPS=kinds, BLOCK=_SUMMED, SUM=accumulator(g), num_warps=2,
    )  # fmt: skip
    return parts.sum(0, dtype=torch.float64)


def towards(
    g: Tensor,
    maps: Tensor,
    places: Tensor,
    coefficients: Tensor,
    feedback: Tensor,
    constant: Tensor,
    s: Tensor,
    names: Sequence[str],
    stride: int,
) -> Tensor:
    """Return the gradient of s, deterministically; see `CellBackend.pool_backward`."""
    n, kinds, channels, rows, columns = maps.shape
    edges, pixels = g.shape[1], rows * columns
    through = torch.empty_like(maps)
    PLANES, PIXELS = tile(pixels)
    _through[(triton.cdiv(n * channels, PLANES), triton.cdiv(pixels, PIXELS))](
        g, maps, coefficients, feedback, constant, through, n * channels, edges, channels, pixels, *g.stride()[:3],
        MAPS=kinds, PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(maps),
    )  # fmt: skip
    result = s.new_empty(s.shape)
    height, width = s.shape[2:]
    PLANES, PIXELS = tile(height * width)
    _unpool[(triton.cdiv(n * channels, PLANES), triton.cdiv(height * width, PIXELS))](
        through, places, result, n * channels, channels, height, width, rows, columns,
        MAX=_place(names, "max_pool_3x3"), AVERAGE=_place(names, "avg_pool_3x3"), POOLS=len(names),
        IDENTITY=kinds > len(names), STRIDE=stride, PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(s),
    )  # fmt: skip
    return result


def _place(names: Sequence[str], name: str) -> int:
    return list(names).index(name) if name in names else -1


@triton.jit(do_not_specialize=_SIZES)
def _pool(
    s, maps, places, parts, planes, channels, height, width, rows, columns, sn, sc,
    MAX: tl.constexpr, AVERAGE: tl.constexpr, POOLS: tl.constexpr, IDENTITY: tl.constexpr,
    STRIDE: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < rows * columns
    both = there[:, None] & inside[None, :]
    image, channel = (plane // channels).to(tl.int64), plane % channels
    row, column = (pixel // columns) * STRIDE, (pixel % columns) * STRIDE
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
    kinds = POOLS + IDENTITY
    size = rows * columns
    target = (maps + (image * kinds * channels + channel) * size)[:, None] + pixel[None, :]
    blocks = tl.num_programs(1)
    found = parts + ((image * blocks + tl.program_id(1)) * POOLS * 2) * channels + channel
    if MAX >= 0:
        rounded = largest.to(maps.dtype.element_ty)
        tl.store(target + MAX * channels * size, rounded, mask=both)
        tl.store((places + plane.to(tl.int64) * size)[:, None] + pixel[None, :], where.to(tl.int8), mask=both)
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
        tl.store(target + POOLS * channels * size, tl.load(source, mask=both, other=0), mask=both)


@triton.jit(do_not_specialize=_SIZES)
def _moments(sums, found, numbers, channels, pixels, BLOCK: tl.constexpr):
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = number < numbers
    each = 1.0 / pixels.to(tl.float64)
    place = sums + number // channels * 2 * channels + number % channels
    mean = tl.load(place, mask=there, other=0) * each
    square = tl.load(place + channels, mask=there, other=0) * each
    tl.store(found + number, mean, mask=there)
    # The variance of a constant channel can be negative by a rounding error.
    tl.store(found + numbers + number, tl.maximum(square - mean * mean, 0.0), mask=there)


@triton.jit(do_not_specialize=_SIZES)
def _mix(
    maps, coefficients, out, planes, edges, channels, pixels, on, oe, oc,
    MAPS: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there = plane < planes
    both = there[:, None] & (pixel < pixels)[None, :]
    image, channel = (plane // channels).to(tl.int64), plane % channels
    source = (maps + (image * MAPS * channels + channel) * pixels)[:, None] + pixel[None, :]
    target = (out + image * on + channel * oc)[:, None] + pixel[None, :]
    for edge in range(edges):
        total = tl.load(target, mask=both, other=0).to(SUM)
        for kind in tl.static_range(MAPS):
            factor = tl.load(coefficients + (edge * MAPS + kind) * channels + channel, mask=there, other=0).to(SUM)
            total += tl.load(source + kind * channels * pixels, mask=both, other=0).to(SUM) * factor[:, None]
        tl.store(target, total.to(out.dtype.element_ty), mask=both)
        target += oe


@triton.jit(do_not_specialize=_SIZES)
def _mix_products(
    g, maps, parts, numbers, each, edges, channels, pixels, gn, ge, gc,
    MAPS: tl.constexpr, BLOCK: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    pair, chunk = tl.program_id(0), tl.program_id(1)
    edge, channel = pair // channels, pair % channels
    kind = tl.arange(0, 4)
    total = tl.zeros((4,), SUM)
    last = tl.minimum((chunk + 1) * each, numbers)
    for first in range(chunk * each, last, BLOCK):
        number = first + tl.arange(0, BLOCK)
        there = number < last
        image, pixel = (number // pixels).to(tl.int64), number % pixels
        towards = tl.load(g + image * gn + edge * ge + channel * gc + pixel, mask=there, other=0).to(SUM)
        source = maps + (image * MAPS * channels + channel) * pixels + pixel
        for one in tl.static_range(MAPS):
            value = tl.load(source + one * channels * pixels, mask=there, other=0).to(SUM)
            total = tl.where(kind == one, total + tl.sum(value * towards, 0), total)
    place = parts + ((chunk * edges + edge) * MAPS + kind) * channels + channel
    tl.store(place, total.to(parts.dtype.element_ty), mask=kind < MAPS)


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
    through, places, out, planes, channels, height, width, rows, columns,
    MAX: tl.constexpr, AVERAGE: tl.constexpr, POOLS: tl.constexpr, IDENTITY: tl.constexpr,
    STRIDE: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < height * width
    both = there[:, None] & inside[None, :]
    image, channel = (plane // channels).to(tl.int64), plane % channels
    y, z = pixel // width, pixel % width
    size = rows * columns
    kinds = POOLS + IDENTITY
    source = (through + (image * kinds * channels + channel) * size)[:, None]
    maxima = (places + plane.to(tl.int64) * size)[:, None]
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
        total += tl.load(source + POOLS * channels * size + pixel[None, :], mask=both, other=0).to(SUM)
    target = (out + plane.to(tl.int64) * (height * width))[:, None] + pixel[None, :]
    tl.store(target, total.to(out.dtype.element_ty), mask=both)
