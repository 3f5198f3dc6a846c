"""Folds a pooling's BatchNorm and its alphas into one factor of its map, forward and backward.

All edges pool the same map m, (C, M pixels), with mean and r = 1 / sqrt(var + eps) of each channel. An edge adds
alpha * BatchNorm(m) = (alpha r) m - alpha r mean. Backwards, with g the gradient of that sum, s the sum of g over the
pixels and S that of g m:

- d = r (S - s mean), the sum of g * BatchNorm(m), so d alpha = sum of d over channels;
- dm = sum over edges of (alpha r) g, + B m + c with B = -sum over edges of alpha r^2 d / M and
  c = sum over edges of alpha r (r d mean - s) / M. With BatchNorm in evaluation mode B and c vanish.

The identity is a map without BatchNorm: mean 0, r = 1. All of it is computed in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class PoolStatistics(NamedTuple):
    """Means and biased variances of the pooled maps, (poolings, C) or by edge (E, poolings, C), float64."""

    mean: Tensor
    variance: Tensor


class FoldedPools(NamedTuple):
    """For E edges and P maps of which the identities are the last. float64 but the coefficients."""

    mean: Tensor  # (E, P, C)
    variance: Tensor  # (E, poolings or P, C), biased
    inverse: Tensor  # (E, P, C), r
    scale: Tensor  # (E, P, C), alpha r
    coefficients: Tensor  # (E, P, C), the same in the type of the matrices
    bias: Tensor  # (E, C), -sum over the maps of alpha r mean


class PoolGradient(NamedTuple):
    """The gradient of the mixed maps."""

    factor: Tensor  # (E, P), of alpha
    feedback: Tensor  # (P, C), B, in the type of the matrices
    constant: Tensor  # (P, C), c


def folded_pools(factor: Tensor, of: PoolStatistics, *, identities: int, eps: float, dtype: torch.dtype) -> FoldedPools:
    """Fold. factor: alpha, (E, P)."""
    mean, variance = (part.expand(len(factor), *part.shape[-2:]) for part in of)
    inverse = (variance + eps).rsqrt_()
    if identities:
        edges, _, channels = mean.shape
        mean = torch.cat([mean, mean.new_zeros(edges, identities, channels)], 1)
        inverse = torch.cat([inverse, mean.new_ones(edges, identities, channels)], 1)
    scale = factor.unsqueeze(-1) * inverse
    return FoldedPools(mean, variance, inverse, scale, scale.to(dtype), -(scale * mean).sum(1))


def gradient_of_pools(of: FoldedPools, total: Tensor, products: Tensor, *, pixels: int, normed: int) -> PoolGradient:
    """Differentiate. total: s, (E, C). products: S, (E, P, C). normed: maps with a BatchNorm of batch statistics."""
    d = of.inverse * (products - total.unsqueeze(1) * of.mean)
    feedback = torch.zeros_like(d[0])
    constant = torch.zeros_like(d[0])
    if normed:
        lost = (of.scale * of.inverse * d)[:, :normed] / pixels
        feedback[:normed] = -lost.sum(0)
        constant[:normed] = (lost * of.mean[:, :normed] - of.scale[:, :normed] * total.unsqueeze(1) / pixels).sum(0)
    dtype = of.coefficients.dtype
    return PoolGradient(d.sum(-1), feedback.to(dtype), constant.to(dtype))


class TorchPoolAlgebra:
    """Backend methods for these functions."""

    folded_pools = staticmethod(folded_pools)
    gradient_of_pools = staticmethod(gradient_of_pools)
