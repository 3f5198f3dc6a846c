"""Implements `darts_core.models.fused.algebra` with one kernel per function, since the matrices are tiny and many."""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.parts import added, in_parts, whole
from darts_core.models.fused import algebra
from darts_core.models.fused.algebra import Folded, Gradient, Inputs, Moments

# A program cannot hold larger matrices, for which torch's products are as fast.
_LARGEST: Final = 64
# Rows of a matrix that a program holds at a time: more would not fit its registers in float64.
_ROWS: Final = 16
_WARPS: Final = 8
# Numbers of a matrix's parts that a program reads at a time.
_READ: Final = 4096
_SIZES: Final = (
    "pixels", "kinds", "rows", "channels", "numbers", "split", "of_sums", "of_others", "of_total", "of_products",
    "sp", "se", "sk", "op", "oe", "ok", "tp", "te", "tk", "tc", "pp", "pe", "pk", "pr", "pc", "fe", "fk",
)  # fmt: skip


class TritonAlgebra:
    """Backend methods. Matrices are (E, K, R, C), in float32 also for bf16 maps. Moments may come in parts."""

    def folded(
        self,
        weight: Tensor,
        factor: Tensor | None,
        moments: Sequence[Moments],
        *,
        pixels: int,
        eps: float,
        dtype: torch.dtype,
    ) -> Folded:
        """See `algebra.folded`."""
        if weight.shape[-1] > _LARGEST:
            return algebra.folded(weight, factor, list(map(_whole, moments)), pixels=pixels, eps=eps, dtype=dtype)
        edges, kinds, rows, channels = weight.shape
        sums, *rest = map(_in_one, moments)
        others = rest[0] if rest else sums
        weight = weight.contiguous()
        matrix = torch.empty(weight.shape, dtype=dtype, device=weight.device)
        spread = torch.empty_like(matrix, dtype=torch.float64)
        # Offset, mean, inverse and variance of y.
        of_y = spread.new_empty(4, edges, kinds, rows)
        input_mean = spread.new_empty(edges, kinds, channels)
        alpha = input_mean if factor is None else factor
        CHANNELS, blocks = _padded(channels), triton.cdiv(rows, _ROWS)
        covariance = spread.new_empty(edges * kinds, blocks, channels, channels)
        _fold[(edges * kinds, blocks)](
            weight, alpha, sums, others, matrix, spread, of_y, input_mean, covariance,
            pixels, eps, edges * kinds, kinds, rows, channels, sums.shape[2], len(sums), len(others),
            *sums.stride()[:3], *others.stride()[:3], *alpha.stride()[:2],
            FACTOR=factor is not None, ROWS=_ROWS, CHANNELS=CHANNELS, TOTALS=_READ // CHANNELS // _ROWS,
            PRODUCTS=_READ // CHANNELS // CHANNELS, num_warps=_WARPS,
        )  # fmt: skip
        offset, mean, inverse, variance = of_y.unbind()
        return Folded(matrix, offset, weight, mean, inverse, variance, input_mean, spread)

    def folded_with(
        self,
        weight: Tensor,
        factor: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        *,
        eps: float,
        dtype: torch.dtype,
    ) -> Folded:
        """See `algebra.folded_with`."""
        return algebra.folded_with(weight, factor, mean, variance, eps=eps, dtype=dtype)

    def gradient_of(
        self, of: Folded, factor: Tensor | None, outer: Moments, *, pixels: int, weights: torch.dtype | None
    ) -> Gradient:
        """See `algebra.gradient_of`."""
        if of.spread.numel() == 0 or of.weight.shape[-1] > _LARGEST:
            return algebra.gradient_of(of, factor, _whole(outer), pixels=pixels, weights=weights)
        edges, kinds, rows, channels = of.weight.shape
        matrix, products = of.matrix, in_parts(outer.products, 4)
        total = in_parts(outer.total, 3).expand(-1, edges, kinds, rows)
        d = of.spread.new_empty(edges, kinds, dtype=None if factor is None else factor.dtype)
        direct = matrix.new_empty(edges, kinds, channels, rows)
        feedback = matrix.new_empty(edges, kinds, channels, channels)
        constant = matrix.new_empty(edges, kinds, channels)
        gradient = None if weights is None else matrix.new_empty(of.weight.shape, dtype=weights)
        alpha = d if factor is None else factor
        CHANNELS = _padded(channels)
        _gradient[(edges * kinds,)](
            of.weight, alpha, total, products, of.mean, of.inverse, of.input_mean, of.spread,
            d, direct, feedback, constant, direct if gradient is None else gradient,
            pixels, kinds, rows, channels, len(total), len(products),
            *total.stride(), *products.stride(), *alpha.stride()[:2],
            FACTOR=factor is not None, WEIGHTS=weights is not None,
            ROWS=_ROWS, CHANNELS=CHANNELS, PARTS=_READ // CHANNELS // _ROWS,
            WORK=tl.float64 if matrix.dtype == torch.float64 else tl.float32, num_warps=_WARPS,
        )  # fmt: skip
        return Gradient(d, gradient, Inputs(direct, feedback, constant))


def _whole(moments: Moments) -> Moments:
    return Moments(whole(moments.total, 3), whole(moments.products, 4))


def _in_one(moments: Moments) -> Tensor:
    """Return sums in parts as one tensor, (parts, E, K, C, C + 1), without a copy if the kernels wrote them."""
    total, products = in_parts(moments.total, 3), in_parts(moments.products, 4)
    channels = products.shape[-1]
    behind = products.data_ptr() + channels * products.element_size()
    if total.stride() == products.stride()[:-1] and products.stride(-2) == channels + 1 and total.data_ptr() == behind:
        return products
    return torch.cat([products, total.unsqueeze(-1)], -1)


def _padded(channels: int) -> int:
    return int(max(16, triton.next_power_of_2(channels)))


@triton.jit(do_not_specialize=_SIZES)
def _fold(
    weight, factor, sums, others, matrix, spread, of_y, input_mean, covariance,
    pixels, eps, numbers, kinds, rows, channels, split, of_sums, of_others, sp, se, sk, op, oe, ok, fe, fk,
    FACTOR: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, TOTALS: tl.constexpr, PRODUCTS: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0)
    edge, kind = pair // kinds, pair % kinds
    row, column = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, CHANNELS)
    of_rows, of_columns = row < rows, column < channels
    both, square = of_rows[:, None] & of_columns[None, :], of_columns[:, None] & of_columns[None, :]
    # Divided once: a float64 division takes as long as a row of the matrix.
    each = 1.0 / pixels.to(tl.float64)
    # The sums of the first `split` kinds, and those of the others.
    if kind < split:
        mine, parts, step = sums + edge * se + kind * sk, of_sums, sp
    else:
        mine, parts, step = others + edge * oe + (kind - split) * ok, of_others, op
    lines = mine + column * (channels + 1)
    mean_u = added(lines + channels, of_columns, parts, step, TOTALS) * each
    squares = added(lines[:, None] + column[None, :], square, parts, step, PRODUCTS) * each
    spread_u = squares - mean_u[:, None] * mean_u[None, :]
    # Kept where all threads can read a row of it.
    covariance += (pair * tl.num_programs(1) + tl.program_id(1)) * channels * channels
    tl.store(covariance + column[:, None] * channels + column[None, :], spread_u, mask=square)
    tl.debug_barrier()
    place = weight + pair * rows * channels
    w = tl.load(place + row[:, None] * channels + column[None, :], mask=both, other=0).to(tl.float64)
    found = tl.zeros((ROWS, CHANNELS), tl.float64)
    for one in range(channels):
        # Row `one` of the covariance and the matching column of the weight.
        of_one = tl.load(covariance + one * channels + column, mask=of_columns, other=0)
        left = tl.load(place + row * channels + one, mask=of_rows, other=0).to(tl.float64)
        found += left[:, None] * of_one[None, :]
    variance = tl.maximum(tl.sum(found * w, 1), 0.0)
    mean = tl.sum(w * mean_u[None, :], 1)
    inverse = 1.0 / tl.sqrt(variance + eps)
    scale = inverse
    if FACTOR:
        scale = inverse * tl.load(factor + edge * fe + kind * fk)
    tl.store(spread + pair * rows * channels + row[:, None] * channels + column[None, :], found, mask=both)
    tl.store(
        matrix + pair * rows * channels + row[:, None] * channels + column[None, :],
        (w * scale[:, None]).to(matrix.dtype.element_ty),
        mask=both,
    )
    tl.store(input_mean + pair * channels + column, mean_u, mask=of_columns & (tl.program_id(1) == 0))
    mine = of_y + pair * rows + row
    size = numbers * rows
    tl.store(mine, -scale * mean, mask=of_rows)
    tl.store(mine + size, mean, mask=of_rows)
    tl.store(mine + 2 * size, inverse, mask=of_rows)
    tl.store(mine + 3 * size, variance, mask=of_rows)


@triton.jit(do_not_specialize=_SIZES)
def _gradient(
    weight, factor, total, products, mean, inverse, input_mean, spread, factors, direct, feedback, constant, gradient,
    pixels, kinds, rows, channels, of_total, of_products, tp, te, tk, tc, pp, pe, pk, pr, pc, fe, fk,
    FACTOR: tl.constexpr, WEIGHTS: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, PARTS: tl.constexpr,
    WORK: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0)
    edge, kind = pair // kinds, pair % kinds
    column = tl.arange(0, CHANNELS)
    of_columns = column < channels
    each = 1.0 / pixels.to(tl.float64)
    mean_u = tl.load(input_mean + pair * channels + column, mask=of_columns, other=0)
    alpha = 1.0
    if FACTOR:
        alpha = tl.load(factor + edge * fe + kind * fk)
    all_d = tl.zeros((ROWS,), tl.float64)
    square = tl.zeros((CHANNELS, CHANNELS), WORK)
    shift = tl.zeros((CHANNELS,), tl.float64)
    for first in range(0, rows, ROWS):
        row = first + tl.arange(0, ROWS)
        of_rows = row < rows
        both = of_rows[:, None] & of_columns[None, :]
        places = pair * rows * channels + row[:, None] * channels + column[None, :]
        outers = products + edge * pe + kind * pk + row[:, None] * pr + column[None, :] * pc
        w = tl.load(weight + places, mask=both, other=0).to(tl.float64)
        outer = added(outers, both, of_products, pp, PARTS)
        s = added(total + edge * te + kind * tk + row * tc, of_rows, of_total, tp, CHANNELS)
        r = tl.load(inverse + pair * rows + row, mask=of_rows, other=0)
        mean_y = tl.load(mean + pair * rows + row, mask=of_rows, other=0)
        d = r * (tl.sum(w * outer, 1) - s * mean_y)
        all_d += d
        scale = r * alpha
        back = tl.trans((w * scale[:, None]).to(direct.dtype.element_ty))
        turned = pair * rows * channels + column[:, None] * rows + row[None, :]
        tl.store(direct + turned, back, mask=of_columns[:, None] & of_rows[None, :])
        lost = scale * r * d * each
        # float32 suffices for a sum of products that is rounded to the maps' precision.
        lowered = tl.trans((w * -lost[:, None]).to(WORK))
        square = tl.dot(lowered, w.to(WORK), square, input_precision="ieee", out_dtype=WORK)
        shift += tl.sum(w * (lost * mean_y - scale * s * each)[:, None], 0)
        if WEIGHTS:
            spreads = tl.load(spread + places, mask=both, other=0)
            result = scale[:, None] * (outer - s[:, None] * mean_u[None, :] - (d * r)[:, None] * spreads)
            tl.store(gradient + places, result.to(gradient.dtype.element_ty), mask=both)
    tl.store(factors + pair, tl.sum(all_d, 0))
    tl.store(
        feedback + pair * channels * channels + column[:, None] * channels + column[None, :],
        square.to(feedback.dtype.element_ty),
        mask=of_columns[:, None] & of_columns[None, :],
    )
    tl.store(constant + pair * channels + column, shift.to(constant.dtype.element_ty), mask=of_columns)
