"""Multiplies maps by small matrices and sums products of maps, without intermediate maps.

Maps are (N, E, K, C, H, W) with dense planes and arbitrary strides between images, edges, kinds and channels. Tiles of
the matrices have at most 64 channels.
"""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.sizes import accumulator, chunks_of

_PIXELS: Final = 64
_SIZES: Final = (
    "blocks", "all_blocks", "kinds", "all_kinds", "summed", "channels", "each", "edges",
    "ae", "ak", "be", "bk", "ce", "ck",
)  # fmt: skip


def apply_matrices(
    a: Tensor,
    x: Tensor,
    out: Tensor,
    *,
    feedback: tuple[Tensor, Tensor, Tensor] | None = None,
    add: bool = False,
) -> None:
    """Write a x to out (N, E, K, C, H, W); with `feedback` (b, z, c), a x + b z + c. add: add to `out` instead.

    Matrices are (E, K, C, C), c is (E, K, C), with arbitrary strides between edges and kinds. If out has one kind and
    the matrices have K, the result is the sum over kinds. Matrices stay float32 for bf16 maps: rounding them would
    cause the same error at every pixel.
    """
    n, edges, kinds, channels, rows, columns = out.shape
    pixels, summed = rows * columns, a.shape[1] // kinds
    CHANNELS = _channels(channels)
    # With 64 pixels the registers of sm_80 do not hold the widest tile.
    PIXELS = _PIXELS if CHANNELS < 64 else _PIXELS // 2
    blocks = triton.cdiv(pixels, PIXELS)
    b, z, c = feedback or (a, x, a)
    _apply[(n * blocks, edges * kinds, triton.cdiv(channels, CHANNELS))](
        a, x, b, z, c, out, blocks, pixels, kinds, summed, channels,
        *x.stride()[:4], *z.stride()[:4], *out.stride()[:4], *a.stride()[:2], *b.stride()[:2], *c.stride()[:2],
        BOTH=feedback is not None, ADD=add, CHANNELS=CHANNELS, PIXELS=PIXELS,
        PRECISION=_rounded(), SUM=accumulator(x), num_warps=_warps(CHANNELS), num_stages=1,
    )  # fmt: skip


def sums_of_products(*pairs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Sum x (E, K, C) and x y^T (E, K, C, C) over all images and pixels: float64, deterministic.

    pairs: of maps x and y of the same images; K counts the kinds of all pairs, in their order. Never uses TF32, since
    variances are differences of these sums.
    """
    n, edges, _, channels, rows, columns = pairs[0][1].shape
    pixels, kinds = rows * columns, sum(y.shape[2] for _, y in pairs)
    CHANNELS = _channels(channels)
    tiles = triton.cdiv(channels, CHANNELS)
    blocks = triton.cdiv(pixels, _PIXELS)
    chunks, each = chunks_of(n * blocks, 1, edges * kinds * tiles * tiles)
    like = pairs[0][1]
    dtype = torch.promote_types(like.dtype, torch.float32)
    parts = like.new_empty(chunks, edges, kinds, channels, channels + 1, dtype=dtype)
    first = 0
    for x, y in pairs:
        _sums[(edges * y.shape[2], chunks, tiles * tiles)](
            x, y, parts[:, :, first:], n * blocks, blocks, pixels, each, edges, y.shape[2], kinds, channels,
            *x.stride()[:4], *y.stride()[:4],
            CHANNELS=CHANNELS, PIXELS=_PIXELS, SUM=accumulator(y), num_warps=_warps(CHANNELS),
        )  # fmt: skip
        first += y.shape[2]
    found = parts.sum(0, dtype=torch.float64)
    return found[..., channels], found[..., :channels]


def _channels(channels: int) -> int:
    return int(max(16, min(64, triton.next_power_of_2(channels))))


def _warps(channels: int) -> int:
    return 8 if channels == 64 else 4


def _rounded() -> str:
    # tf32x3 has float32 precision by three TF32 products, on the same tensor cores.
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "tf32x3"


@triton.jit(do_not_specialize=_SIZES)
def _apply(
    a, x, b, z, c, out, blocks, pixels, kinds, summed, channels, xn, xe, xk, xc, zn, ze, zk, zc, on, oe, ok, oc,
    ae, ak, be, bk, ce, ck,
    BOTH: tl.constexpr, ADD: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
    PRECISION: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(1)
    edge, kind = pair // kinds, pair % kinds
    image = (tl.program_id(0) // blocks).to(tl.int64)
    pixel = tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS)
    to = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    inner = tl.arange(0, CHANNELS)
    total = tl.zeros((CHANNELS, PIXELS), SUM)
    for one in range(summed):
        place = kind * summed + one
        matrix = a + edge * ae + place * ak
        maps = x + image * xn + edge * xe + place * xk
        for first in range(0, channels, CHANNELS):
            come = first + inner
            weights = (to < channels)[:, None] & (come < channels)[None, :]
            read = (come < channels)[:, None] & (pixel < pixels)[None, :]
            factors = tl.load(matrix + (to[:, None] * channels + come[None, :]), mask=weights, other=0)
            values = tl.load(maps + (come[:, None] * xc + pixel[None, :]), mask=read, other=0)
            total = tl.dot(factors, values.to(factors.dtype), total, input_precision=PRECISION, out_dtype=SUM)
    if BOTH:
        matrix = b + edge * be + kind * bk
        maps = z + image * zn + edge * ze + kind * zk
        for first in range(0, channels, CHANNELS):
            come = first + inner
            weights = (to < channels)[:, None] & (come < channels)[None, :]
            read = (come < channels)[:, None] & (pixel < pixels)[None, :]
            factors = tl.load(matrix + (to[:, None] * channels + come[None, :]), mask=weights, other=0)
            values = tl.load(maps + (come[:, None] * zc + pixel[None, :]), mask=read, other=0)
            total = tl.dot(factors, values.to(factors.dtype), total, input_precision=PRECISION, out_dtype=SUM)
        total += tl.load(c + edge * ce + kind * ck + to, mask=to < channels, other=0).to(SUM)[:, None]
    target = out + image * on + edge * oe + kind * ok + (to[:, None] * oc + pixel[None, :])
    both = (to < channels)[:, None] & (pixel < pixels)[None, :]
    if ADD:
        total += tl.load(target, mask=both, other=0).to(SUM)
    tl.store(target, total.to(out.dtype.element_ty), mask=both)


@triton.jit(do_not_specialize=_SIZES)
def _sums(
    x, y, parts, all_blocks, blocks, pixels, each, edges, kinds, all_kinds, channels, xn, xe, xk, xc, yn, ye, yk, yc,
    CHANNELS: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    pair, chunk = tl.program_id(0), tl.program_id(1)
    tiles = (channels + CHANNELS - 1) // CHANNELS
    edge, kind = pair // kinds, pair % kinds
    of_x = tl.program_id(2) // tiles * CHANNELS + tl.arange(0, CHANNELS)
    of_y = tl.program_id(2) % tiles * CHANNELS + tl.arange(0, CHANNELS)
    inner = tl.arange(0, PIXELS)
    total = tl.zeros((CHANNELS, CHANNELS), SUM)
    alone = tl.zeros((CHANNELS,), SUM)
    xs, ys = x + edge * xe + kind * xk, y + edge * ye + kind * yk
    for block in range(chunk * each, tl.minimum((chunk + 1) * each, all_blocks)):
        image, pixel = (block // blocks).to(tl.int64), block % blocks * PIXELS + inner
        of_image_x, of_image_y = xs + image * xn, ys + image * yn
        read = pixel < pixels
        left = tl.load(
            of_image_x + (of_x[:, None] * xc + pixel[None, :]), mask=(of_x < channels)[:, None] & read[None, :], other=0
        )
        right = tl.load(
            of_image_y + (of_y[:, None] * yc + pixel[None, :]), mask=(of_y < channels)[:, None] & read[None, :], other=0
        )
        total = tl.dot(left, tl.trans(right), total, input_precision="ieee", out_dtype=SUM)
        alone += tl.sum(left.to(SUM), 1)
    rows = parts + ((chunk * edges + edge) * all_kinds + kind) * channels * (channels + 1) + of_x * (channels + 1)
    both = (of_x < channels)[:, None] & (of_y < channels)[None, :]
    tl.store(rows[:, None] + of_y[None, :], total.to(parts.dtype.element_ty), mask=both)
    if tl.program_id(2) % tiles == 0:
        tl.store(rows + channels, alone.to(parts.dtype.element_ty), mask=of_x < channels)
