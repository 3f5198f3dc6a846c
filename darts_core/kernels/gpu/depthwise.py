"""Computes depthwise convolutions and their gradients in Triton kernels.

Maps are (N, E, C, H, W) with dense planes and arbitrary strides between images, edges and channels. An input that all
edges share has an edge stride of 0. The kernels convolve relu(x + shift) without storing it.
"""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.sizes import accumulator, chunks_of, tile

_SUMMED: Final = 512
# Not specialised: otherwise Triton compiles a kernel again for sizes that are 1 or multiples of 16.
_SIZES: Final = (
    "planes", "edges", "channels", "shared", "height", "width", "rows", "columns", "numbers",
    "each", "gn", "ge", "gc", "xn", "xe", "xc", "on", "oe", "oc", "se",
)  # fmt: skip


def convolve(x: Tensor, shift: Tensor | None, weight: Tensor, dilation: int, stride: int, out: Tensor) -> None:
    """Write the convolution of relu(x + shift) to `out`. weight: (E, C, k, k). shift: (E, C), any stride of edges."""
    n, edges, channels, rows, columns = out.shape
    planes, pixels = n * edges * channels, rows * columns
    PLANES, PIXELS = tile(pixels)
    _convolve[(triton.cdiv(planes, PLANES), triton.cdiv(pixels, PIXELS))](
        x, x if shift is None else shift, weight, out, planes, edges, channels, *x.shape[3:], rows, columns,
        *x.stride()[:3], *out.stride()[:3], _stride(shift),
        K=weight.shape[-1], DILATION=dilation, STRIDE=stride, SHIFT=shift is not None,
        PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(x),
    )  # fmt: skip


def towards_input(
    g: Tensor,
    x: Tensor,
    shift: Tensor | None,
    weight: Tensor,
    dilation: int,
    stride: int,
    out: Tensor,
    *,
    add: bool = False,
) -> None:
    """Write the gradient of x to `out`. g: gradient of the output of `convolve`. add: add to `out` instead.

    For an input that all edges share, out (N, 1, C, H, W) is the sum over the edges.
    """
    n, edges, channels, height, width = out.shape
    planes, pixels = n * edges * channels, height * width
    PLANES, PIXELS = tile(pixels)
    _towards_input[(triton.cdiv(planes, PLANES), triton.cdiv(pixels, PIXELS))](
        g, x, x if shift is None else shift, weight, out, planes, edges, channels, g.shape[1] // edges, height, width,
        *g.shape[3:], *g.stride()[:3], *x.stride()[:3], *out.stride()[:3], _stride(shift),
        K=weight.shape[-1], DILATION=dilation, STRIDE=stride, SHIFT=shift is not None, ADD=add,
        PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(x),
    )  # fmt: skip


def towards_weight(g: Tensor, x: Tensor, shift: Tensor | None, weight: Tensor, dilation: int, stride: int) -> Tensor:
    """Return the gradient of the weight, (E, C, k, k), deterministically. g: gradient of the output of `convolve`."""
    n, edges, channels, rows, columns = g.shape
    kernel = weight.shape[-1]
    numbers = n * rows * columns
    chunks, each = chunks_of(numbers, _SUMMED, edges * channels)
    parts = g.new_empty(chunks, *weight.shape, dtype=torch.promote_types(g.dtype, torch.float32))
    _towards_weight[(edges * channels, chunks)](
        g, x, x if shift is None else shift, parts, numbers, each, edges, channels, *x.shape[3:], rows, columns,
        *g.stride()[:3], *x.stride()[:3], _stride(shift),
        K=kernel, DILATION=dilation, STRIDE=stride, TAPS=triton.next_power_of_2(kernel * kernel),
        SHIFT=shift is not None, BLOCK=_SUMMED, SUM=accumulator(x), num_warps=2,
    )  # fmt: skip
    return parts.sum(0, dtype=weight.dtype)


def _stride(shift: Tensor | None) -> int:
    return 0 if shift is None else shift.stride(0)


@triton.jit(do_not_specialize=_SIZES)
def _convolve(
    x, shift, weight, out, planes, edges, channels, height, width, rows, columns, xn, xe, xc, on, oe, oc, se,
    K: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, SHIFT: tl.constexpr,
    PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < rows * columns
    channel, edge = plane % channels, (plane // channels) % edges
    image = (plane // (channels * edges)).to(tl.int64)
    row, column = (pixel // columns) * STRIDE, (pixel % columns) * STRIDE
    source = (x + image * xn + edge * xe + channel * xc)[:, None] + (row * width + column)[None, :]
    filters = weight + (edge * channels + channel) * (K * K)
    if SHIFT:
        shifts = tl.load(shift + edge * se + channel, mask=there, other=0).to(SUM)
    total = tl.zeros((PLANES, PIXELS), SUM)
    for i in range(K):
        down = (i - K // 2) * DILATION
        for j in tl.static_range(K):
            right = (j - K // 2) * DILATION
            met = inside & (row + down >= 0) & (row + down < height) & (column + right >= 0) & (column + right < width)
            read = there[:, None] & met[None, :]
            value = tl.load(source + (down * width + right), mask=read, other=0).to(SUM)
            if SHIFT:
                value = tl.where(read, value + shifts[:, None], 0)
            factor = tl.load(filters + i * K + j, mask=there, other=0).to(SUM)
            total += tl.maximum(value, 0) * factor[:, None]
    target = out + image * on + edge * oe + channel * oc
    tl.store(target[:, None] + pixel[None, :], total.to(out.dtype.element_ty), mask=there[:, None] & inside[None, :])


@triton.jit(do_not_specialize=_SIZES)
def _towards_input(
    g, x, shift, weight, out, planes, edges, channels, shared, height, width, rows, columns,
    gn, ge, gc, xn, xe, xc, on, oe, oc, se,
    K: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, SHIFT: tl.constexpr, ADD: tl.constexpr,
    PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < height * width
    channel, edge = plane % channels, (plane // channels) % edges
    image = (plane // (channels * edges)).to(tl.int64)
    y, z = pixel // width, pixel % width
    first = edge * shared
    source = (g + image * gn + first * ge + channel * gc)[:, None] + (y * columns + z)[None, :]
    filters = weight + (first * channels + channel) * (K * K)
    total = tl.zeros((PLANES, PIXELS), SUM)
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
                value = tl.load(place, mask=there[:, None] & met[None, :], other=0).to(SUM)
                factor = tl.load(filters + i * K + j, mask=there, other=0).to(SUM)
                total += value * factor[:, None]
        source += ge
        filters += channels * (K * K)
    both = there[:, None] & inside[None, :]
    kept = x + image * xn + edge * xe + channel * xc
    value = tl.load(kept[:, None] + pixel[None, :], mask=both, other=0).to(SUM)
    if SHIFT:
        value += tl.load(shift + edge * se + channel, mask=there, other=0).to(SUM)[:, None]
    total = tl.where(value > 0, total, 0)
    target = (out + image * on + edge * oe + channel * oc)[:, None] + pixel[None, :]
    if ADD:
        total += tl.load(target, mask=both, other=0).to(SUM)
    tl.store(target, total.to(out.dtype.element_ty), mask=both)


@triton.jit(do_not_specialize=_SIZES)
def _towards_weight(
    g, x, shift, parts, numbers, each, edges, channels, height, width, rows, columns, gn, ge, gc, xn, xe, xc, se,
    K: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, TAPS: tl.constexpr, SHIFT: tl.constexpr,
    BLOCK: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    pair, chunk = tl.program_id(0), tl.program_id(1)
    edge, channel = pair // channels, pair % channels
    tap = tl.arange(0, TAPS)
    total = tl.zeros((TAPS,), SUM)
    if SHIFT:
        lifted = tl.load(shift + edge * se + channel).to(SUM)
    last = tl.minimum((chunk + 1) * each, numbers)
    for first in range(chunk * each, last, BLOCK):
        number = first + tl.arange(0, BLOCK)
        there = number < last
        image, pixel = (number // (rows * columns)).to(tl.int64), number % (rows * columns)
        towards = tl.load(g + image * gn + edge * ge + channel * gc + pixel, mask=there, other=0).to(SUM)
        row, column = pixel // columns * STRIDE, pixel % columns * STRIDE
        source = x + image * xn + edge * xe + channel * xc + row * width + column
        for i in range(K):
            down = (i - K // 2) * DILATION
            for j in tl.static_range(K):
                right = (j - K // 2) * DILATION
                met = (row + down >= 0) & (row + down < height) & (column + right >= 0) & (column + right < width)
                value = tl.load(source + (down * width + right), mask=there & met, other=0).to(SUM)
                if SHIFT:
                    value = tl.where(met, value + lifted, 0)
                found = tl.sum(tl.maximum(value, 0) * towards, 0)
                total = tl.where(tap == i * K + j, total + found, total)
    place = parts + (chunk * edges * channels + pair) * (K * K) + tap
    tl.store(place, total.to(parts.dtype.element_ty), mask=tap < K * K)
