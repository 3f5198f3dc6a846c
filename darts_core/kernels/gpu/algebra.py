"""Implements `darts_core.models.fused.algebra` with one kernel per function, since the matrices are tiny and many."""

# ruff: noqa: N803 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.models.fused import algebra
from darts_core.models.fused.algebra import Folded, Gradient, Inputs, Moments

# A program cannot hold larger matrices, for which torch's products are as fast.
_LARGEST: Final = 64
# Rows of a matrix that a program holds at a time: more would not fit its registers in float64.
_ROWS: Final = 16
_WARPS: Final = 8
_SIZES: Final = ("pixels", "kinds", "rows", "channels", "te", "tk", "tc", "pe", "pk", "pr", "pc", "fe", "fk", "numbers")


class TritonAlgebra:
    """Backend methods. Matrices are (E, K, R, C), in float32 also for bf16 maps."""

    def folded(
        self, weight: Tensor, factor: Tensor | None, moments: Moments, *, pixels: int, eps: float, dtype: torch.dtype
    ) -> Folded:
        """See `algebra.folded`."""
        if weight.shape[-1] > _LARGEST:
            return algebra.folded(weight, factor, moments, pixels=pixels, eps=eps, dtype=dtype)
        edges, kinds, rows, channels = weight.shape
        weight = weight.contiguous()
        matrix = torch.empty(weight.shape, dtype=dtype, device=weight.device)
        spread = torch.empty_like(matrix, dtype=torch.float64)
        # Offset, mean, inverse and variance of y.
        of_y = spread.new_empty(4, edges, kinds, rows)
        input_mean = spread.new_empty(edges, kinds, channels)
        alpha = input_mean if factor is None else factor
        _fold[(edges * kinds, triton.cdiv(rows, _ROWS))](
            weight, alpha, moments.total, moments.products, matrix, spread, of_y, input_mean,
            pixels, eps, edges * kinds, kinds, rows, channels,
            *moments.total.stride(), *moments.products.stride(), *alpha.stride()[:2],
            FACTOR=factor is not None, ROWS=_ROWS, CHANNELS=_padded(channels), num_warps=_WARPS,
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
            return algebra.gradient_of(of, factor, outer, pixels=pixels, weights=weights)
        edges, kinds, rows, channels = of.weight.shape
        matrix, total = of.matrix, outer.total.expand(edges, kinds, rows)
        d = of.spread.new_empty(edges, kinds)
        direct = matrix.new_empty(edges, kinds, channels, rows)
        feedback = matrix.new_empty(edges, kinds, channels, channels)
        constant = matrix.new_empty(edges, kinds, channels)
        gradient = None if weights is None else matrix.new_empty(of.weight.shape, dtype=weights)
        alpha = d if factor is None else factor
        _gradient[(edges * kinds,)](
            of.weight, alpha, total, outer.products, of.mean, of.inverse, of.input_mean, of.spread,
            d, direct, feedback, constant, direct if gradient is None else gradient,
            pixels, kinds, rows, channels, *total.stride(), *outer.products.stride(), *alpha.stride()[:2],
            FACTOR=factor is not None, WEIGHTS=weights is not None,
            ROWS=_ROWS, CHANNELS=_padded(channels),
            WORK=tl.float64 if matrix.dtype == torch.float64 else tl.float32, num_warps=_WARPS,
        )  # fmt: skip
        return Gradient(d, gradient, Inputs(direct, feedback, constant))


def _padded(channels: int) -> int:
    return int(max(16, triton.next_power_of_2(channels)))


@triton.jit(do_not_specialize=_SIZES)
def _fold(
    weight, factor, total, products, matrix, spread, of_y, input_mean,
    pixels, eps, numbers, kinds, rows, channels, te, tk, tc, pe, pk, pr, pc, fe, fk,
    FACTOR: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0)
    edge, kind = pair // kinds, pair % kinds
    row, column = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, CHANNELS)
    of_rows, of_columns = row < rows, column < channels
    both = of_rows[:, None] & of_columns[None, :]
    # Divided once: a float64 division takes as long as a row of the matrix.
    each = 1.0 / pixels.to(tl.float64)
    sums = total + edge * te + kind * tk
    squares = products + edge * pe + kind * pk
    place = weight + pair * rows * channels
    w = tl.load(place + row[:, None] * channels + column[None, :], mask=both, other=0).to(tl.float64)
    mean_u = tl.load(sums + column * tc, mask=of_columns, other=0) * each
    found = tl.zeros((ROWS, CHANNELS), tl.float64)
    for one in range(channels):
        # Row `one` of the covariance and the matching column of the weight.
        mean_one = tl.load(sums + one * tc) * each
        covariance = tl.load(squares + one * pr + column * pc, mask=of_columns, other=0) * each - mean_one * mean_u
        left = tl.load(place + row * channels + one, mask=of_rows, other=0).to(tl.float64)
        found += left[:, None] * covariance[None, :]
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
    pixels, kinds, rows, channels, te, tk, tc, pe, pk, pr, pc, fe, fk,
    FACTOR: tl.constexpr, WEIGHTS: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, WORK: tl.constexpr,
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
        outer = tl.load(outers, mask=both, other=0).to(tl.float64)
        s = tl.load(total + edge * te + kind * tk + row * tc, mask=of_rows, other=0).to(tl.float64)
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
