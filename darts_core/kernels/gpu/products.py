"""Multiplies maps by small matrices, without intermediate maps.

Maps are (N, E, K, C, H, W) with dense planes and arbitrary strides between images, edges, kinds and channels. Tiles of
the matrices have at most 64 rows and columns.
"""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.sizes import accumulator, channels_of_tile, pixels_of_tile, warps

_SIZES: Final = ("blocks", "kinds", "summed", "rows", "channels", "ae", "ak", "be", "bk", "ce", "ck")


def apply_matrices(
    a: Tensor,
    x: Tensor,
    out: Tensor,
    *,
    feedback: tuple[Tensor, Tensor] | None = None,
    constant: Tensor | None = None,
    pooled: tuple[Tensor, Tensor, Tensor] | None = None,
    add: bool = False,
) -> None:
    """Write a x to out (N, E, K, R, H, W); with `feedback` (b, z) and `constant` c, a x + b z + c. add: to `out`.

    pooled: maps (N, P, C, H, W), their coefficients (E, P, C) and a bias (E, C), which are added besides.

    Matrices are (E, K, R, C), c is (E, K, R), with arbitrary strides between edges and kinds. If out has one kind and
    the matrices have K, the result is the sum over kinds. Matrices stay float32 for bf16 maps: rounding them would
    cause the same error at every pixel.
    """
    n, edges, kinds, rows, height, width = out.shape
    channels = x.shape[3]
    if a.numel() and not a[0, 0].is_contiguous():
        a = a.contiguous()  # torch's algebra leaves it transposed
    pixels, summed = height * width, a.shape[1] // kinds
    CHANNELS = channels_of_tile(max(rows, channels))
    PIXELS = pixels_of_tile(CHANNELS)
    blocks = triton.cdiv(pixels, PIXELS)
    b, z = feedback or (a, x)
    c = a if constant is None else constant
    maps, coefficients, bias = pooled or (x, a, a)
    _apply[(n * blocks, edges * kinds, triton.cdiv(rows, CHANNELS))](
        a, x, b, z, c, maps, coefficients, bias, out, blocks, pixels, kinds, summed, rows, channels,
        *x.stride()[:4], *z.stride()[:4], *out.stride()[:4], *a.stride()[:2], *b.stride()[:2], *c.stride()[:2],
        FEEDBACK=feedback is not None, CONSTANT=constant is not None, POOLED=0 if pooled is None else maps.shape[1],
        ADD=add, CHANNELS=CHANNELS, PIXELS=PIXELS,
        PRECISION=_rounded(), SUM=accumulator(x), num_warps=warps(CHANNELS), num_stages=1,
    )  # fmt: skip


def _rounded() -> str:
    # tf32x3 has float32 precision by three TF32 products, on the same tensor cores.
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "tf32x3"


@triton.jit(do_not_specialize=_SIZES)
def _apply(
    a, x, b, z, c, pooled, coefficients, bias, out, blocks, pixels, kinds, summed, rows, channels,
    xn, xe, xk, xc, zn, ze, zk, zc, on, oe, ok, oc, ae, ak, be, bk, ce, ck,
    FEEDBACK: tl.constexpr, CONSTANT: tl.constexpr, POOLED: tl.constexpr, ADD: tl.constexpr,
    CHANNELS: tl.constexpr, PIXELS: tl.constexpr, PRECISION: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(1)
    edge, kind = pair // kinds, pair % kinds
    image = (tl.program_id(0) // blocks).to(tl.int64)
    pixel = tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS)
    to = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    of_rows, inside = to < rows, pixel < pixels
    total = tl.zeros((CHANNELS, PIXELS), SUM)
    for one in range(summed):
        place = kind * summed + one
        matrix = a + edge * ae + place * ak
        maps = x + image * xn + edge * xe + place * xk
        total = _product(total, matrix, maps, xc, to, of_rows, pixel, inside, channels, CHANNELS, PRECISION)
    if FEEDBACK:
        for one in range(summed):
            place = kind * summed + one
            matrix = b + edge * be + place * bk
            maps = z + image * zn + edge * ze + place * zk
            total = _product(total, matrix, maps, zc, to, of_rows, pixel, inside, rows, CHANNELS, PRECISION)
    if CONSTANT:
        shift = tl.zeros((CHANNELS,), c.dtype.element_ty)
        for one in range(summed):
            shift += tl.load(c + edge * ce + (kind * summed + one) * ck + to, mask=of_rows, other=0)
        total += shift.to(SUM)[:, None]
    both = of_rows[:, None] & inside[None, :]
    if POOLED > 0:
        total += tl.load(bias + edge * rows + to, mask=of_rows, other=0).to(SUM)[:, None]
        for one in tl.static_range(POOLED):
            factor = tl.load(coefficients + (edge * POOLED + one) * rows + to, mask=of_rows, other=0).to(SUM)
            maps = pooled + (image * POOLED + one) * rows * pixels
            value = tl.load(maps + (to[:, None] * pixels + pixel[None, :]), mask=both, other=0).to(SUM)
            total += value * factor[:, None]
    target = out + image * on + edge * oe + kind * ok + (to[:, None] * oc + pixel[None, :])
    if ADD:
        total += tl.load(target, mask=both, other=0).to(SUM)
    tl.store(target, total.to(out.dtype.element_ty), mask=both)


@triton.jit
def _product(
    total, matrix, maps, step, to, of_rows, pixel, inside, channels, CHANNELS: tl.constexpr, PRECISION: tl.constexpr
):
    for first in range(0, channels, CHANNELS):
        come = first + tl.arange(0, CHANNELS)
        there = come < channels
        places = to[:, None] * channels + come[None, :]
        factors = tl.load(matrix + places, mask=of_rows[:, None] & there[None, :], other=0)
        read = there[:, None] & inside[None, :]
        values = tl.load(maps + (come[:, None] * step + pixel[None, :]), mask=read, other=0)
        total = tl.dot(factors, values.to(factors.dtype), total, input_precision=PRECISION, out_dtype=total.dtype)
    return total
