"""Implements the cell backend for CPUs, with one kernel per pass and no intermediate maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
from torch import Tensor

from darts_core.kernels.loader import operators
from darts_core.models.fused.algebra import Folded, Gradient, Inputs, Moments, folded_with
from darts_core.models.fused.backend import Convolved, FilterGradients, Filters, Mixed, Pooled, added
from darts_core.models.fused.pool_algebra import PoolStatistics, TorchPoolAlgebra

_POOLS: Final = {"max_pool_3x3": 0, "avg_pool_3x3": 1}


class CpuBackend(TorchPoolAlgebra):
    """See `CellBackend`. Results are bit-identical for any number of threads."""

    layout: ClassVar[torch.memory_format] = torch.contiguous_format
    adds_biases: ClassVar[bool] = False
    exact_alphas: ClassVar[bool] = True
    joins_inputs: ClassVar[bool] = False
    folded_with = staticmethod(folded_with)

    def source(
        self, states: Sequence[Tensor], filters: Filters, *, moments: bool
    ) -> tuple[Tensor, Tensor, list[Moments]]:
        (s,) = states
        (weights, dilations), separable = _split(filters), len(filters.first)
        u, v, *found = operators(s.dtype).source(s, weights, dilations, separable, filters.stride, moments)
        return u, v, Moments(*found).split(separable) if moments else []

    def inner(
        self, u: Tensor, a: Tensor, b: Tensor, filters: Filters, v: Tensor, *, moments: bool
    ) -> tuple[Tensor, Moments | None]:
        y, *found = operators(u.dtype).inner(u, a.contiguous(), b.to(a.dtype).contiguous(), filters.outer, v, moments)
        return y, Moments(*found) if moments else None

    def gather(self, convolved: Convolved | None, mixed: Mixed | None, out: Tensor, *, add: bool) -> None:
        if not add:
            out.zero_()
        if convolved is not None:
            v, matrix = convolved.v, convolved.of.matrix
            operators(v.dtype).gather(v, matrix.transpose(1, 2).flatten(2), out)
        if mixed is not None:
            maps, coefficients = mixed.pooled.maps, mixed.of.coefficients
            operators(maps.dtype).mix(maps, coefficients.contiguous(), out)

    def pool(
        self, states: Sequence[Tensor], names: Sequence[str], stride: int, *, identity: bool
    ) -> tuple[Pooled, PoolStatistics]:
        (s,) = states
        maps, places, total, squares = operators(s.dtype).pool(s, [_POOLS[name] for name in names], stride, identity)
        pixels = maps.shape[0] * maps.shape[3] * maps.shape[4]
        mean = total / pixels
        return Pooled(maps, places), PoolStatistics(mean, (squares / pixels - mean * mean).clamp_min_(0))

    def products(self, g: Tensor, v: Tensor | None, pooled: Pooled | None) -> tuple[None, list[Tensor]]:
        found = [] if v is None else [operators(g.dtype).products(g, v)]
        return None, found if pooled is None else [*found, operators(g.dtype).mix_products(g, pooled.maps)]

    def whole(self, gradients: list[Tensor]) -> list[Tensor]:
        return gradients

    def inner_backward(
        self, g: Tensor, v: Tensor, inputs: Inputs, y: Tensor, b: Tensor, u: Tensor, filters: Filters, *, weights: bool
    ) -> tuple[Tensor, Moments, FilterGradients]:
        towards_y, total, products, gradients = operators(g.dtype).inner_backward(
            g, v, *_dense(inputs), y, b.to(y.dtype), u, filters.outer, weights
        )
        return towards_y, Moments(total, products), gradients if weights else None

    def source_backward(
        self,
        towards_y: Tensor,
        u: Tensor,
        of_first: Inputs | None,
        g: Tensor,
        v: Tensor,
        of_last: Inputs,
        states: Sequence[Tensor],
        filters: Filters,
        *,
        weights: bool,
    ) -> tuple[list[Tensor], FilterGradients]:
        (s,) = states
        all_filters, dilations = _split(filters)
        first = _dense(of_first) if of_first is not None else (None, None, None)
        towards_s, gradients = operators(g.dtype).source_backward(
            towards_y,
            u,
            *first,
            g,
            v,
            *_dense(of_last),
            s,
            all_filters,
            dilations,
            len(filters.first),
            filters.stride,
            weights,
        )
        return [towards_s], gradients if weights else None

    def pool_backward(
        self,
        g: Tensor,
        pooled: Pooled,
        coefficients: Tensor,
        feedback: Tensor,
        constant: Tensor,
        states: Sequence[Tensor],
        names: Sequence[str],
        stride: int,
        into: Sequence[Tensor | None],
    ) -> list[Tensor]:
        (s,), (before,) = states, into
        towards_s = operators(g.dtype).pool_backward(
            g,
            pooled.maps,
            pooled.places,
            coefficients.contiguous(),
            feedback.contiguous(),
            constant.contiguous(),
            s,
            [_POOLS[name] for name in names],
            stride,
        )
        return [added(towards_s, before)]

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        x, *found = operators(s.dtype).grids(s, moments)
        return x, Moments(*(of.unsqueeze(0) for of in found)) if moments else None

    def grids_add(self, x: Tensor, of: Folded, out: Tensor) -> None:
        operators(x.dtype).grids_add(x, of.matrix.contiguous(), out)

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        return operators(g.dtype).grids_products(g, x)  # type: ignore[no-any-return]

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor, into: Tensor | None) -> Tensor:
        feedback, constant = (None if of is None else of.sum(0) for of in (inputs.feedback, inputs.constant))
        towards_s = operators(g.dtype).grids_backward(g, x, inputs.direct.contiguous(), feedback, constant, s)
        return added(towards_s, into)

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
        assert weight.dtype == dtype
        return Folded(*operators(dtype).folded(weight, factor, *Moments.joined(moments), pixels, eps))

    def gradient_of(
        self, of: Folded, factor: Tensor | None, outer: Moments, *, pixels: int, weights: torch.dtype | None
    ) -> Gradient:
        batch = of.spread.numel() > 0
        statistics = (of.input_mean, of.spread) if batch else (None, None)
        towards_factor, weight, direct, *through = operators(of.matrix.dtype).gradient_of(
            of.weight, of.mean, of.inverse, *statistics, factor, *outer, pixels, weights is not None
        )
        inputs = Inputs(direct, *through) if batch else Inputs(direct, None, None)
        return Gradient(towards_factor, None if weights is None else weight, inputs)


def _split(filters: Filters) -> tuple[list[Tensor], list[int]]:
    both = filters.of_source
    return [weight for weight, _ in both], [dilation for _, dilation in both]


def _dense(inputs: Inputs) -> tuple[Tensor | None, ...]:
    return tuple(None if tensor is None else tensor.contiguous() for tensor in inputs)
