"""Computes depthwise convolutions and their gradients in Triton kernels, the filters of all kinds in one launch.

Maps are (N, E, K, C, H, W) with dense planes and arbitrary strides between images, edges, kinds and channels. The kinds
read inputs (N, E, C, H, W), which have the same strides; one that all edges share has a stride of 0. The kernels
convolve relu(x + shift) without storing it. Each kind has a filter of its own size and dilation: a program chooses its
code. Programs that read the same place of a map, for all kinds and edges, are neighbours in the launch: it comes from
memory once, and then from the caches.
"""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.sizes import accumulator, chunks_of, tile

# Of a program of one warp, which needs no barrier.
_SUMMED: Final = 256
_PARTS: Final = 32
# Not specialised: otherwise Triton compiles a kernel again for sizes that are 1 or multiples of 16, and for inputs and
# filters whose addresses are.
_SIZES: Final = (
    "xs", "outs", "weights", "planes", "edges", "channels", "shared", "height", "width", "rows", "columns",
    "numbers", "each", "size", "gn", "ge", "gk", "gc", "xn", "xe", "xc", "on", "oe", "ok", "oc", "se", "sk",
)  # fmt: skip


class Kind(NamedTuple):
    """A filter (E, C, k, k), its dilation, and the number of the input that it reads."""

    weight: Tensor
    dilation: int
    source: int


def convolve(xs: Sequence[Tensor], shift: Tensor | None, kinds: Sequence[Kind], stride: int, out: Tensor) -> None:
    """Write the convolutions of relu(x + shift) to `out`. shift: (E, K, C), any strides of edges and kinds."""
    n, edges, _, channels, rows, columns = out.shape
    planes, pixels = n * edges * channels, rows * columns
    PLANES, PIXELS = tile(pixels)
    _convolve[(triton.cdiv(planes, PLANES) * triton.cdiv(pixels, PIXELS) * len(kinds),)](
        tuple(xs), xs[0] if shift is None else shift, _weights(kinds), out, planes, edges, channels,
        *xs[0].shape[3:], rows, columns, *_strides(xs), *out.stride()[:4], *_shift_strides(shift),
        **_constants(kinds, shift, stride), PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(out),
    )  # fmt: skip


def towards_input(
    g: Tensor, xs: Sequence[Tensor], shift: Tensor | None, kinds: Sequence[Kind], stride: int, outs: Sequence[Tensor]
) -> None:
    """Write the gradients of the inputs to `outs`: sums over their kinds. g: gradient of the output of `convolve`.

    For inputs that all edges share, they and the gradients are (N, 1, C, H, W), and these are sums over the edges, too.
    """
    n, edges, channels, height, width = outs[0].shape
    planes, pixels = n * edges * channels, height * width
    PLANES, PIXELS = tile(pixels)
    _towards_input[(triton.cdiv(planes, PLANES) * triton.cdiv(pixels, PIXELS) * len(xs),)](
        g, tuple(xs), xs[0] if shift is None else shift, _weights(kinds), tuple(outs), planes, edges, channels,
        g.shape[1] // edges, height, width, *g.shape[4:], *g.stride()[:4], *_strides(xs), *_strides(outs),
        *_shift_strides(shift), **_constants(kinds, shift, stride), INPUTS=len(xs),
        PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(g),
    )  # fmt: skip


def towards_weight(
    g: Tensor, xs: Sequence[Tensor], shift: Tensor | None, kinds: Sequence[Kind], stride: int
) -> list[Tensor]:
    """Return parts of the gradients of the filters, (parts, E, C, k, k), deterministically.

    g: gradient of the output of `convolve`. As many images and pixels have as many parts.
    """
    n, edges, _, channels, rows, columns = g.shape
    filters = _weights(kinds)
    numbers, sizes = n * rows * columns, [weight.numel() for weight in filters]
    chunks, each = chunks_of(numbers, _SUMMED, 1, _PARTS)
    parts = g.new_empty(chunks, sum(sizes), dtype=torch.promote_types(g.dtype, torch.float32))
    _towards_weight[(edges * channels * len(kinds), chunks)](
        g, tuple(xs), xs[0] if shift is None else shift, parts, numbers, each, sum(sizes), edges, channels,
        *xs[0].shape[3:], rows, columns, *g.stride()[:4], *_strides(xs), *_shift_strides(shift),
        **_constants(kinds, shift, stride), BLOCK=_SUMMED, SUM=accumulator(g), num_warps=1,
    )  # fmt: skip
    found = parts.split(sizes, 1)
    return [gradient.unflatten(1, weight.shape) for gradient, weight in zip(found, filters, strict=True)]


def _weights(kinds: Sequence[Kind]) -> tuple[Tensor, ...]:
    return tuple(kind.weight for kind in kinds)


def _strides(maps: Sequence[Tensor]) -> tuple[int, ...]:
    assert len({each.stride() for each in maps}) == 1
    return maps[0].stride()[:3]


def _shift_strides(shift: Tensor | None) -> tuple[int, ...]:
    return (0, 0) if shift is None else shift.stride()[:2]


def _constants(kinds: Sequence[Kind], shift: Tensor | None, stride: int) -> dict[str, Any]:
    return {
        "KINDS": len(kinds),
        "WIDTHS": tuple(kind.weight.shape[-1] for kind in kinds),
        "DILATIONS": tuple(kind.dilation for kind in kinds),
        "SOURCES": tuple(kind.source for kind in kinds),
        "STRIDE": stride,
        "SHIFT": shift is not None,
    }


@triton.jit(do_not_specialize=_SIZES)
def _convolve(
    xs, shift, weights, out, planes, edges, channels, height, width, rows, columns,
    xn, xe, xc, on, oe, ok, oc, se, sk,
    KINDS: tl.constexpr, WIDTHS: tl.constexpr, DILATIONS: tl.constexpr, SOURCES: tl.constexpr,
    STRIDE: tl.constexpr, SHIFT: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    kind, plane, pixel = _place(KINDS, rows * columns, PLANES, PIXELS)
    there, inside = plane < planes, pixel < rows * columns
    channel, edge = plane % channels, (plane // channels) % edges
    image = (plane // (channels * edges)).to(tl.int64)
    row, column = (pixel // columns) * STRIDE, (pixel % columns) * STRIDE
    source = (image * xn + edge * xe + channel * xc)[:, None] + (row * width + column)[None, :]
    shifts = tl.zeros((PLANES,), SUM)
    if SHIFT:
        shifts = tl.load(shift + edge * se + kind * sk + channel, mask=there, other=0).to(SUM)
    total = tl.zeros((PLANES, PIXELS), SUM)
    for one in tl.static_range(KINDS):
        if kind == one:
            total = _filtered(
                total, xs[SOURCES[one]] + source, shifts, weights[one], edge * channels + channel, row, column,
                there, inside, height, width, WIDTHS[one], DILATIONS[one], SHIFT,
            )  # fmt: skip
    target = out + image * on + edge * oe + kind * ok + channel * oc
    tl.store(target[:, None] + pixel[None, :], total.to(out.dtype.element_ty), mask=there[:, None] & inside[None, :])


@triton.jit
def _place(COUNT: tl.constexpr, pixels, PLANES: tl.constexpr, PIXELS: tl.constexpr):
    """A program's number of COUNT, its planes and its pixels."""
    block, blocks = tl.program_id(0) // COUNT, tl.cdiv(pixels, PIXELS)
    plane = (block // blocks) * PLANES + tl.arange(0, PLANES)
    return tl.program_id(0) % COUNT, plane, (block % blocks) * PIXELS + tl.arange(0, PIXELS)


@triton.jit
def _filtered(
    total, source, shifts, weight, filters, row, column, there, inside, height, width,
    K: tl.constexpr, DILATION: tl.constexpr, SHIFT: tl.constexpr,
):  # fmt: skip
    for i in range(K):
        down = (i - K // 2) * DILATION
        for j in tl.static_range(K):
            right = (j - K // 2) * DILATION
            met = inside & (row + down >= 0) & (row + down < height) & (column + right >= 0) & (column + right < width)
            read = there[:, None] & met[None, :]
            value = tl.load(source + (down * width + right), mask=read, other=0).to(total.dtype)
            if SHIFT:
                value = tl.where(read, value + shifts[:, None], 0)
            factor = tl.load(weight + filters * (K * K) + i * K + j, mask=there, other=0).to(total.dtype)
            total += tl.maximum(value, 0) * factor[:, None]
    return total


@triton.jit(do_not_specialize=_SIZES)
def _towards_input(
    g, xs, shift, weights, outs, planes, edges, channels, shared, height, width, rows, columns,
    gn, ge, gk, gc, xn, xe, xc, on, oe, oc, se, sk,
    KINDS: tl.constexpr, WIDTHS: tl.constexpr, DILATIONS: tl.constexpr, SOURCES: tl.constexpr,
    STRIDE: tl.constexpr, SHIFT: tl.constexpr, INPUTS: tl.constexpr,
    PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    number, plane, pixel = _place(INPUTS, height * width, PLANES, PIXELS)
    there, inside = plane < planes, pixel < height * width
    channel, edge = plane % channels, (plane // channels) % edges
    image = (plane // (channels * edges)).to(tl.int64)
    y, z = pixel // width, pixel % width
    source = (g + image * gn + edge * shared * ge + channel * gc)[:, None] + (y * columns + z)[None, :]
    total = tl.zeros((PLANES, PIXELS), SUM)
    for one in tl.static_range(KINDS):
        if number == SOURCES[one]:
            total = _turned(
                total, source + one * gk, weights[one], edge * shared * channels + channel, y, z, there, inside,
                rows, columns, shared, channels, ge, WIDTHS[one], DILATIONS[one], STRIDE,
            )  # fmt: skip
    x, out = xs[0], outs[0]
    for one in tl.static_range(1, INPUTS):
        if number == one:
            x, out = xs[one], outs[one]
    both = there[:, None] & inside[None, :]
    kept = x + image * xn + edge * xe + channel * xc
    value = tl.load(kept[:, None] + pixel[None, :], mask=both, other=0).to(SUM)
    if SHIFT:
        value += tl.load(shift + edge * se + number * sk + channel, mask=there, other=0).to(SUM)[:, None]
    total = tl.where(value > 0, total, 0).to(outs[0].dtype.element_ty)
    target = out + image * on + edge * oe + channel * oc
    tl.store(target[:, None] + pixel[None, :], total, mask=both)


@triton.jit
def _turned(
    total, source, weight, filters, y, z, there, inside, rows, columns, shared, channels, ge,
    K: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr,
):  # fmt: skip
    for _ in range(shared):
        for i in range(K):
            down = (i - K // 2) * DILATION
            for j in tl.static_range(K):
                right = (j - K // 2) * DILATION
                row, column = y - down, z - right
                met = inside & (row >= 0) & (column >= 0)
                if STRIDE == 1:
                    met = met & (row < rows) & (column < columns)
                    place = source - (down * columns + right)
                else:
                    met = met & (row % 2 == 0) & (column % 2 == 0) & (row // 2 < rows) & (column // 2 < columns)
                    # The mask admits even rows and columns only, so that halving them is exact.
                    place = source + ((row // 2) * columns + column // 2 - y * columns - z)[None, :]
                value = tl.load(place, mask=there[:, None] & met[None, :], other=0).to(total.dtype)
                factor = tl.load(weight + filters * (K * K) + i * K + j, mask=there, other=0).to(total.dtype)
                total += value * factor[:, None]
        source += ge
        filters += channels
    return total


@triton.jit(do_not_specialize=_SIZES)
def _towards_weight(
    g, xs, shift, parts, numbers, each, size, edges, channels, height, width, rows, columns,
    gn, ge, gk, gc, xn, xe, xc, se, sk,
    KINDS: tl.constexpr, WIDTHS: tl.constexpr, DILATIONS: tl.constexpr, SOURCES: tl.constexpr,
    STRIDE: tl.constexpr, SHIFT: tl.constexpr, BLOCK: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    pair, kind, chunk = tl.program_id(0) // KINDS, tl.program_id(0) % KINDS, tl.program_id(1)
    edge, channel = pair // channels, pair % channels
    lifted = tl.zeros((1,), SUM)
    if SHIFT:
        lifted += tl.load(shift + edge * se + kind * sk + channel).to(SUM)
    last = tl.minimum((chunk + 1) * each, numbers)
    towards, source = g + edge * ge + kind * gk + channel * gc, edge * xe + channel * xc
    place = parts + chunk * size
    for one in tl.static_range(KINDS):
        if kind == one:
            _sum_taps(
                towards, xs[SOURCES[one]] + source, lifted, place + pair * (WIDTHS[one] * WIDTHS[one]), chunk * each,
                last, gn, xn, height, width, rows, columns, WIDTHS[one], DILATIONS[one], STRIDE, SHIFT, BLOCK,
            )  # fmt: skip
        place += edges * channels * (WIDTHS[one] * WIDTHS[one])


@triton.jit
def _sum_taps(
    towards, source, lifted, place, first, last, gn, xn, height, width, rows, columns,
    K: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, SHIFT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    TAPS: tl.constexpr = triton.next_power_of_2(K * K)
    tap = tl.arange(0, TAPS)
    total = tl.zeros((TAPS,), lifted.dtype)
    for begin in range(first, last, BLOCK):
        number = begin + tl.arange(0, BLOCK)
        there = number < last
        image, pixel = (number // (rows * columns)).to(tl.int64), number % (rows * columns)
        of_out = tl.load(towards + image * gn + pixel, mask=there, other=0).to(lifted.dtype)
        row, column = pixel // columns * STRIDE, pixel % columns * STRIDE
        of_in = source + image * xn + row * width + column
        for i in range(K):
            down = (i - K // 2) * DILATION
            for j in tl.static_range(K):
                right = (j - K // 2) * DILATION
                met = (row + down >= 0) & (row + down < height) & (column + right >= 0) & (column + right < width)
                value = tl.load(of_in + (down * width + right), mask=there & met, other=0).to(lifted.dtype)
                if SHIFT:
                    value = tl.where(met, value + lifted, 0)
                found = tl.sum(tl.maximum(value, 0) * of_out, 0)
                total = tl.where(tap == i * K + j, total + found, total)
    tl.store(place + tap, total.to(place.dtype.element_ty), mask=tap < K * K)
