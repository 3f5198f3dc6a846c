"""Sums maps and products of maps over pixels.

Maps are (N, E, K, C, H, W) with dense planes and arbitrary strides between images, edges, kinds and channels. Sums are
float32 for bf16 and float32 maps and never use TF32, since variances are differences of them. They are deterministic.
"""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.parts import most_parts, whole
from darts_core.kernels.gpu.sizes import accumulator, channels_of_tile, chunks_of, pixels_of_tile, warps
from darts_core.models.fused.algebra import Moments

_SIZES: Final = ("all_blocks", "blocks", "pixels", "each", "kinds", "rows", "channels")


def sums_of_products(x: Tensor, y: Tensor, *, in_parts: bool) -> Moments:
    """Sum x (E, K, R) and x y^T (E, K, R, C) over all images and pixels.

    in_parts: leave them in parts, as in `darts_core.kernels.gpu.parts`. Otherwise these are added, in float64.
    """
    return _moments(_summed(x, y, None, in_parts=in_parts)[0], in_parts=in_parts)


def sums_of_gradient(g: Tensor, v: Tensor, pooled: Tensor, *, in_parts: bool) -> tuple[Moments, Tensor]:
    """Return the sums of g (N, E, C, H, W) and g v^T, and of g times each pooled map (N, P, C, H, W), (E, P, C).

    v: has no kinds if there are none, and so has `pooled`.
    """
    x = g.unsqueeze(2).expand(-1, -1, max(1, v.shape[2]), -1, -1, -1)  # a tensor without kinds has no address
    parts, of_pooled = _summed(x, v, pooled, in_parts=in_parts)
    return _moments(parts, in_parts=in_parts), of_pooled if in_parts else whole(of_pooled, 3)


def _summed(x: Tensor, y: Tensor, pooled: Tensor | None, *, in_parts: bool) -> tuple[Tensor, Tensor]:
    n, edges, kinds, channels, height, width = y.shape
    pixels, rows = height * width, x.shape[3]
    maps = 0 if pooled is None else pooled.shape[1]
    CHANNELS = channels_of_tile(max(rows, channels))
    PIXELS = pixels_of_tile(CHANNELS)
    tiles = triton.cdiv(rows, CHANNELS) * triton.cdiv(channels, CHANNELS)
    blocks = triton.cdiv(pixels, PIXELS)
    pairs = edges * (kinds + maps)
    # Torch folds what takes several tiles, and adds any number of parts.
    most = most_parts(rows * channels) if in_parts and tiles == 1 else n * blocks
    chunks, each = chunks_of(n * blocks, 1, pairs * tiles, most)
    # The products, and in the last column the sums of x.
    dtype = torch.promote_types(y.dtype, torch.float32)
    parts = y.new_empty(chunks, edges, kinds, rows, channels + 1, dtype=dtype)
    of_pooled = parts.new_empty(chunks, edges, maps, channels)
    _sums[(chunks, pairs, tiles)](
        x, y, y if pooled is None else pooled, parts, of_pooled,
        n * blocks, blocks, pixels, each, kinds, rows, channels, *x.stride()[:4], *y.stride()[:4],
        POOLED=maps, CHANNELS=CHANNELS, PIXELS=PIXELS, SUM=accumulator(y), num_warps=warps(CHANNELS),
    )  # fmt: skip
    return parts, of_pooled


def _moments(parts: Tensor, *, in_parts: bool) -> Moments:
    found = parts if in_parts else parts.sum(0, dtype=torch.float64)
    return Moments(found[..., -1], found[..., :-1])


@triton.jit(do_not_specialize=_SIZES)
def _sums(
    x, y, pooled, parts, of_pooled, all_blocks, blocks, pixels, each, kinds, rows, channels,
    xn, xe, xk, xc, yn, ye, yk, yc,
    POOLED: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    chunk, pair = tl.program_id(0), tl.program_id(1)
    tiles = (channels + CHANNELS - 1) // CHANNELS
    edge, kind = pair // (kinds + POOLED), pair % (kinds + POOLED)
    edges = tl.num_programs(1) // (kinds + POOLED)
    row = tl.program_id(2) // tiles * CHANNELS + tl.arange(0, CHANNELS)
    column = tl.program_id(2) % tiles * CHANNELS + tl.arange(0, CHANNELS)
    of_rows = row < rows
    last = tl.minimum((chunk + 1) * each, all_blocks)
    alone = tl.zeros((CHANNELS,), SUM)
    if POOLED == 0 or kind < kinds:
        total = tl.zeros((CHANNELS, CHANNELS), SUM)
        xs, ys = x + edge * xe + kind * xk, y + edge * ye + kind * yk
        for block in range(chunk * each, last):
            image, pixel = (block // blocks).to(tl.int64), block % blocks * PIXELS + tl.arange(0, PIXELS)
            of_image_x, of_image_y = xs + image * xn, ys + image * yn
            read = (pixel < pixels)[None, :]
            left = tl.load(of_image_x + (row[:, None] * xc + pixel[None, :]), mask=of_rows[:, None] & read, other=0)
            right = tl.load(
                of_image_y + (column[:, None] * yc + pixel[None, :]), mask=(column < channels)[:, None] & read, other=0
            )
            total = tl.dot(left, tl.trans(right), total, input_precision="ieee", out_dtype=SUM)
            alone += tl.sum(left.to(SUM), 1)
        target = parts + (((chunk * edges + edge) * kinds + kind) * rows + row) * (channels + 1)
        both = of_rows[:, None] & (column < channels)[None, :]
        tl.store(target[:, None] + column[None, :], total.to(parts.dtype.element_ty), mask=both)
        tl.store(target + channels, alone.to(parts.dtype.element_ty), mask=of_rows)
    elif tl.program_id(2) % tiles == 0:
        one = kind - kinds
        for block in range(chunk * each, last):
            image, pixel = (block // blocks).to(tl.int64), block % blocks * PIXELS + tl.arange(0, PIXELS)
            both = of_rows[:, None] & (pixel < pixels)[None, :]
            of_image_x, of_image_y = x + image * xn + edge * xe, pooled + (image * POOLED + one) * channels * pixels
            left = tl.load(of_image_x + (row[:, None] * xc + pixel[None, :]), mask=both, other=0).to(SUM)
            right = tl.load(of_image_y + (row[:, None] * pixels + pixel[None, :]), mask=both, other=0).to(SUM)
            alone += tl.sum(left * right, 1)
        place = of_pooled + ((chunk * edges + edge) * POOLED + one) * channels + row
        tl.store(place, alone.to(of_pooled.dtype.element_ty), mask=of_rows)
