"""Implements `darts_core.models.fused.pool_algebra` with a kernel per function, as its tensors are tiny and many."""

# ruff: noqa: N803, N806 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.parts import added, in_parts
from darts_core.models.fused.pool_algebra import FoldedPools, PoolGradient, PoolStatistics

_BLOCK: Final = 64
# Numbers of a sum's parts that a program reads at a time.
_READ: Final = 1024
_SIZES: Final = (
    "edges", "channels", "parts", "pixels", "of_total", "of_products",
    "fe", "step", "me", "mk", "ve", "vk", "tp", "te", "tc", "sp", "se", "sk",
)  # fmt: skip


class PoolSums(NamedTuple):
    """Takes the place of `PoolStatistics`: parts of each pooled map's sum and sum of squares, (parts, poolings, 2, C).

    pixels: of all parts.
    """

    parts: Tensor
    pixels: int

    def statistics(self) -> PoolStatistics:
        """Add the parts."""
        mean, squares = (self.parts.sum(0) / self.pixels).unbind(1)
        return PoolStatistics(mean, (squares - mean * mean).clamp_min_(0))


class TritonPoolAlgebra:
    """Backend methods. Sums may come in parts."""

    def folded_pools(
        self, factor: Tensor, of: PoolStatistics | PoolSums, *, identities: int, eps: float, dtype: torch.dtype
    ) -> FoldedPools:
        """See `pool_algebra.folded_pools`."""
        edges, maps = factor.shape
        poolings, channels = maps - identities, of[0].shape[-1]
        of_maps = factor.new_empty(4, edges, maps, channels, dtype=torch.float64)
        coefficients = factor.new_empty(edges, maps, channels, dtype=dtype)
        bias = of_maps.new_empty(edges, channels)
        strides: tuple[int, ...]
        if isinstance(of, PoolSums):
            mean, variance = of.parts.unbind(2)
            # All edges read the same sums.
            strides = 0, mean.stride(1), 0, variance.stride(1)
            parts, pixels, step = len(mean), of.pixels, mean.stride(0)
        else:
            mean, variance = (part.expand(edges, poolings, channels) for part in of)
            strides = *mean.stride()[:2], *variance.stride()[:2]
            parts, pixels, step = 0, 1, 0
        _fold_pools[(edges, triton.cdiv(channels, _BLOCK))](
            factor, mean, variance, of_maps, coefficients, bias, eps, edges, channels, parts, pixels,
            factor.stride(0), step, *strides, SUMS=parts > 0,
            MAPS=maps, NORMED=poolings, BLOCK=_BLOCK, PARTS=_READ // _BLOCK, num_warps=2,
        )  # fmt: skip
        at, spread, inverse, scale = of_maps.unbind()
        return FoldedPools(at, spread, inverse, scale, coefficients, bias)

    def gradient_of_pools(
        self, of: FoldedPools, total: Tensor, products: Tensor, *, pixels: int, normed: int
    ) -> PoolGradient:
        """See `pool_algebra.gradient_of_pools`."""
        edges, maps, channels = of.mean.shape
        factor = of.mean.new_empty(edges, maps, dtype=of.coefficients.dtype)
        feedback = of.coefficients.new_empty(maps, channels)
        constant = torch.empty_like(feedback)
        total, products = in_parts(total, 2), in_parts(products, 3)
        CHANNELS = triton.next_power_of_2(channels)
        _gradient_of_pools[(maps,)](
            of.mean, of.inverse, of.scale, total, products, factor, feedback, constant, pixels, edges, channels,
            len(total), len(products), *total.stride(), *products.stride()[:3],
            MAPS=maps, NORMED=normed, CHANNELS=CHANNELS, PARTS=max(1, _READ // CHANNELS),
        )  # fmt: skip
        return PoolGradient(factor, feedback, constant)


@triton.jit(do_not_specialize=_SIZES)
def _fold_pools(
    factor, mean, variance, of_maps, coefficients, bias, eps, edges, channels, parts, pixels, fe, step, me, mk, ve, vk,
    SUMS: tl.constexpr, MAPS: tl.constexpr, NORMED: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    edge = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = channel < channels
    size = edges * MAPS * channels
    shift = tl.zeros((BLOCK,), tl.float64)
    for kind in tl.static_range(MAPS):
        at = tl.zeros((BLOCK,), tl.float64)
        spread, inverse = at, at + 1.0
        if kind < NORMED:
            means, spreads = mean + edge * me + kind * mk + channel, variance + edge * ve + kind * vk + channel
            if SUMS:
                each = 1.0 / pixels.to(tl.float64)
                at = added(means, there, parts, step, PARTS) * each
                # The variance of a constant channel can be negative by a rounding error.
                spread = tl.maximum(added(spreads, there, parts, step, PARTS) * each - at * at, 0.0)
            else:
                at, spread = tl.load(means, mask=there, other=0), tl.load(spreads, mask=there, other=0)
            inverse = 1.0 / tl.sqrt(spread + eps)
        scale = tl.load(factor + edge * fe + kind) * inverse
        shift += scale * at
        place = (edge * MAPS + kind) * channels + channel
        tl.store(of_maps + place, at, mask=there)
        tl.store(of_maps + size + place, spread, mask=there)
        tl.store(of_maps + 2 * size + place, inverse, mask=there)
        tl.store(of_maps + 3 * size + place, scale, mask=there)
        tl.store(coefficients + place, scale.to(coefficients.dtype.element_ty), mask=there)
    tl.store(bias + edge * channels + channel, -shift, mask=there)


@triton.jit(do_not_specialize=_SIZES)
def _gradient_of_pools(
    mean, inverse, scale, total, products, factor, feedback, constant, pixels, edges, channels,
    of_total, of_products, tp, te, tc, sp, se, sk,
    MAPS: tl.constexpr, NORMED: tl.constexpr, CHANNELS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    kind = tl.program_id(0)
    channel = tl.arange(0, CHANNELS)
    there = channel < channels
    each = 1.0 / pixels.to(tl.float64)
    back = tl.zeros((CHANNELS,), tl.float64)
    shift = tl.zeros((CHANNELS,), tl.float64)
    for edge in range(edges):
        place = (edge * MAPS + kind) * channels + channel
        at = tl.load(mean + place, mask=there, other=0)
        r = tl.load(inverse + place, mask=there, other=0)
        of_map = tl.load(scale + place, mask=there, other=0)
        s = added(total + edge * te + channel * tc, there, of_total, tp, PARTS)
        product = added(products + edge * se + kind * sk + channel, there, of_products, sp, PARTS)
        d = r * (product - s * at)
        tl.store(factor + edge * MAPS + kind, tl.sum(d, 0))
        lost = of_map * r * d * each
        back -= lost
        shift += lost * at - of_map * s * each
    back, shift = tl.where(kind < NORMED, back, 0.0), tl.where(kind < NORMED, shift, 0.0)
    at_end = kind * channels + channel
    tl.store(feedback + at_end, back.to(feedback.dtype.element_ty), mask=there)
    tl.store(constant + at_end, shift.to(constant.dtype.element_ty), mask=there)
