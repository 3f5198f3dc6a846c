"""Implements `darts_core.models.fused.pool_algebra` with a kernel per function, as its tensors are tiny and many."""

# ruff: noqa: N803 - capitals are sizes and compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from darts_core.models.fused.pool_algebra import FoldedPools, PoolGradient

_BLOCK: Final = 64
_SIZES: Final = ("edges", "channels", "pixels", "fe", "me", "mk", "ve", "vk", "te", "se", "sk")


class TritonPoolAlgebra:
    """Backend methods."""

    def folded_pools(
        self, factor: Tensor, mean: Tensor, variance: Tensor, *, identity: bool, eps: float, dtype: torch.dtype
    ) -> FoldedPools:
        """See `pool_algebra.folded_pools`."""
        edges, poolings, channels = mean.shape
        maps = poolings + identity
        of_maps = factor.new_empty(3, edges, maps, channels)
        coefficients = factor.new_empty(edges, maps, channels, dtype=dtype)
        bias = factor.new_empty(edges, channels)
        _fold_pools[(edges, triton.cdiv(channels, _BLOCK))](
            factor, mean, variance, of_maps, coefficients, bias, eps, edges, channels,
            factor.stride(0), *mean.stride()[:2], *variance.stride()[:2],
            MAPS=maps, NORMED=poolings, BLOCK=_BLOCK, num_warps=2,
        )  # fmt: skip
        at, inverse, scale = of_maps.unbind()
        return FoldedPools(at, inverse, scale, coefficients, bias)

    def gradient_of_pools(
        self, of: FoldedPools, total: Tensor, products: Tensor, *, pixels: int, normed: int
    ) -> PoolGradient:
        """See `pool_algebra.gradient_of_pools`."""
        edges, maps, channels = of.mean.shape
        factor = of.mean.new_empty(edges, maps)
        feedback = of.coefficients.new_empty(maps, channels)
        constant = torch.empty_like(feedback)
        _gradient_of_pools[(maps,)](
            of.mean, of.inverse, of.scale, total, products, factor, feedback, constant, pixels, edges, channels,
            total.stride(0), *products.stride()[:2],
            MAPS=maps, NORMED=normed, CHANNELS=triton.next_power_of_2(channels),
        )  # fmt: skip
        return PoolGradient(factor, feedback, constant)


@triton.jit(do_not_specialize=_SIZES)
def _fold_pools(
    factor, mean, variance, of_maps, coefficients, bias, eps, edges, channels, fe, me, mk, ve, vk,
    MAPS: tl.constexpr, NORMED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    edge = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = channel < channels
    size = edges * MAPS * channels
    shift = tl.zeros((BLOCK,), tl.float64)
    for kind in tl.static_range(MAPS):
        at = tl.zeros((BLOCK,), tl.float64)
        inverse = at + 1.0
        if kind < NORMED:
            at = tl.load(mean + edge * me + kind * mk + channel, mask=there, other=0)
            spread = tl.load(variance + edge * ve + kind * vk + channel, mask=there, other=0)
            inverse = 1.0 / tl.sqrt(spread + eps)
        scale = tl.load(factor + edge * fe + kind) * inverse
        shift += scale * at
        place = (edge * MAPS + kind) * channels + channel
        tl.store(of_maps + place, at, mask=there)
        tl.store(of_maps + size + place, inverse, mask=there)
        tl.store(of_maps + 2 * size + place, scale, mask=there)
        tl.store(coefficients + place, scale.to(coefficients.dtype.element_ty), mask=there)
    tl.store(bias + edge * channels + channel, -shift, mask=there)


@triton.jit(do_not_specialize=_SIZES)
def _gradient_of_pools(
    mean, inverse, scale, total, products, factor, feedback, constant, pixels, edges, channels, te, se, sk,
    MAPS: tl.constexpr, NORMED: tl.constexpr, CHANNELS: tl.constexpr,
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
        s = tl.load(total + edge * te + channel, mask=there, other=0)
        product = tl.load(products + edge * se + kind * sk + channel, mask=there, other=0)
        d = r * (product - s * at)
        tl.store(factor + edge * MAPS + kind, tl.sum(d, 0))
        lost = of_map * r * d * each
        back -= lost
        shift += lost * at - of_map * s * each
    back, shift = tl.where(kind < NORMED, back, 0.0), tl.where(kind < NORMED, shift, 0.0)
    at_end = kind * channels + channel
    tl.store(feedback + at_end, back.to(feedback.dtype.element_ty), mask=there)
    tl.store(constant + at_end, shift.to(constant.dtype.element_ty), mask=there)
