"""Folds a pointwise convolution, its BatchNorm and a factor into one matrix, forward and backward.

With u the input (C_in numbers per pixel, M pixels) of y = W u, without bias, and BatchNorm without an affine part:

- mean(y) = W mean(u), and var(y) = diag(W K W^T) with K the covariance of u: the statistics of y need the sum and the
  matrix of products of u alone, never y itself. With r = 1 / sqrt(var + eps),
  alpha * BatchNorm(y) = (alpha r W) u - alpha r mean(y): one matrix and one bias.
- Backwards, with g the gradient of alpha * BatchNorm(y), S the sum of g u^T over the pixels and s that of g:
  d = r (sum over inputs of W * S - s mean(y)), the sum of g * BatchNorm(y), so d alpha = sum of d over channels;
  dW = alpha r (S - s mean(u)^T - d r W K);
  du = (alpha r W)^T g + B u + c with B = -W^T diag(alpha r^2 d / M) W and c = W^T (alpha r (r d mean(y) - s) / M).
- With BatchNorm in evaluation mode, mean(y) and r are constants: the terms of K, mean(u), B and c vanish.

All of it is computed in float64, since the matrices are tiny and K is a difference. E edges have K operations each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Sums (E, K, C) and sums of products (E, K, C, C) of maps u over all pixels, float64."""

    total: Tensor
    products: Tensor

    def split(self, kinds: int) -> list[Moments]:
        """Return the moments of so many kinds and of the others, if both exist."""
        parts = [part for part in (slice(kinds), slice(kinds, None)) if self.total[..., part, :].numel()]
        return [Moments(self.total[..., part, :], self.products[..., part, :, :]) for part in parts]

    @staticmethod
    def joined(of_kinds: Sequence[Moments]) -> Moments:
        """Join the moments of successive kinds."""
        if len(of_kinds) == 1:
            return of_kinds[0]
        return Moments(*(torch.cat(parts, 1) for parts in zip(*of_kinds, strict=True)))


class Folded(NamedTuple):
    """The folded matrix and the statistics of y = W u. The matrix has the maps' type, all others are float64."""

    matrix: Tensor  # (E, K, C, C), alpha r W
    offset: Tensor  # (E, K, C), -alpha r mean(y)
    weight: Tensor  # (E, K, C, C)
    mean: Tensor  # (E, K, C), of y
    inverse: Tensor  # (E, K, C), r
    variance: Tensor  # (E, K, C), biased
    # Of u; empty with BatchNorm in evaluation mode.
    input_mean: Tensor  # (E, K, C)
    spread: Tensor  # (E, K, C, C), W K


def folded(
    weight: Tensor, factor: Tensor | None, moments: Sequence[Moments], *, pixels: int, eps: float, dtype: torch.dtype
) -> Folded:
    """Fold with batch statistics.

    factor: alpha, (E, K), float64; by default 1. moments: of successive kinds. dtype: the type of the maps.
    """
    weight = weight.double()
    total, products = Moments.joined(moments)
    input_mean = total / pixels
    covariance = torch.addcmul(products / pixels, input_mean.unsqueeze(-1), input_mean.unsqueeze(-2), value=-1)
    spread = weight @ covariance
    # The variance of a constant channel can be negative by a rounding error.
    variance = (spread * weight).sum(-1).clamp_min_(0)
    mean = (weight @ input_mean.unsqueeze(-1)).squeeze(-1)
    inverse = (variance + eps).rsqrt_()
    return Folded(*_mapped(weight, factor, mean, inverse, dtype), mean, inverse, variance, input_mean, spread)


def folded_with(
    weight: Tensor, factor: Tensor | None, mean: Tensor, variance: Tensor, *, eps: float, dtype: torch.dtype
) -> Folded:
    """Fold with running statistics, (E, K, C)."""
    nothing = weight.new_empty(0, dtype=torch.float64)
    weight, mean, variance = weight.double(), mean.double(), variance.double()
    inverse = (variance + eps).rsqrt_()
    return Folded(*_mapped(weight, factor, mean, inverse, dtype), mean, inverse, variance, nothing, nothing)


def _mapped(
    weight: Tensor, factor: Tensor | None, mean: Tensor, inverse: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    scale = inverse if factor is None else factor.unsqueeze(-1) * inverse
    return (scale.unsqueeze(-1) * weight).to(dtype), -scale * mean, weight


class Inputs(NamedTuple):
    """The terms of the gradient of u: direct g + feedback u + constant, in the maps' type."""

    direct: Tensor  # (E, K, C_in, C_out)
    feedback: Tensor | None  # (E, K, C_in, C_in); None with BatchNorm in evaluation mode, and so is the constant
    constant: Tensor | None  # (E, K, C_in)


class Gradient(NamedTuple):
    """The gradient of alpha * BatchNorm(W u)."""

    factor: Tensor  # (E, K), of alpha, in its type
    weight: Tensor | None  # (E, K, C, C), in the type of the weights
    inputs: Inputs


def gradient_of(
    of: Folded, factor: Tensor | None, outer: Moments, *, pixels: int, weights: torch.dtype | None
) -> Gradient:
    """Differentiate the folded matrix. outer: total s, products S. weights: the type of dW; None to skip it."""
    dtype = of.matrix.dtype
    batch = of.spread.numel() > 0
    r = of.inverse
    d = r * ((of.weight * outer.products).sum(-1) - outer.total * of.mean)
    scale = r if factor is None else factor.unsqueeze(-1) * r
    transposed = of.weight.transpose(-1, -2)
    direct = (transposed * scale.unsqueeze(-2)).to(dtype)
    products = outer.products
    feedback = constant = None
    if batch:
        lost = scale * r * d / pixels
        feedback = ((transposed * -lost.unsqueeze(-2)) @ of.weight).to(dtype)
        offset = lost * of.mean - scale * outer.total / pixels
        constant = (transposed @ offset.unsqueeze(-1)).squeeze(-1).to(dtype)
    gradient = None
    if weights is not None:
        if batch:
            products = torch.addcmul(products, outer.total.unsqueeze(-1), of.input_mean.unsqueeze(-2), value=-1)
            products = torch.addcmul(products, (d * r).unsqueeze(-1), of.spread, value=-1)
        gradient = (scale.unsqueeze(-1) * products).to(weights)
    return Gradient(d.sum(-1), gradient, Inputs(direct, feedback, constant))


class TorchAlgebra:
    """Backend methods for these functions."""

    folded = staticmethod(folded)
    folded_with = staticmethod(folded_with)
    gradient_of = staticmethod(gradient_of)
