"""Implements the cell backend for CPUs, with one kernel per pass and no intermediate maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
from torch import Tensor

from darts_core.kernels.build import operators
from darts_core.models.fused.algebra import Folded, Gradient, Inputs, Moments, folded_with
from darts_core.models.fused.backend import FilterGradients, Filters, Pooled
from darts_core.models.fused.pool_algebra import TorchPoolAlgebra

_POOLS: Final = {"max_pool_3x3": 0, "avg_pool_3x3": 1}


class CpuBackend(TorchPoolAlgebra):
    """See `CellBackend`. Results are bit-identical for any number of threads."""

    layout: ClassVar[torch.memory_format] = torch.contiguous_format
    folded_with = staticmethod(folded_with)

    def source(self, s: Tensor, filters: Filters, *, moments: bool) -> tuple[Tensor, Tensor, Moments | None]:
        weights, dilations = _split(filters)
        u, v, *found = operators(s.dtype).source(s, weights, dilations, len(filters.first), filters.stride, moments)
        return u, v, Moments(*found) if moments else None

    def inner(
        self, u: Tensor, a: Tensor, b: Tensor, filters: Filters, v: Tensor, *, moments: bool
    ) -> tuple[Tensor, Moments | None]:
        y, *found = operators(u.dtype).inner(u, a.contiguous(), b.contiguous(), filters.outer, v, moments)
        return y, Moments(*found) if moments else None

    def gather(self, v: Tensor, a: Tensor, out: Tensor) -> None:
        operators(v.dtype).gather(v, a.transpose(1, 2).flatten(2), out)

    def pool(self, s: Tensor, names: Sequence[str], stride: int, *, identity: bool) -> tuple[Pooled, Tensor, Tensor]:
        maps, places, total, squares = operators(s.dtype).pool(s, [_POOLS[name] for name in names], stride, identity)
        pixels = maps.shape[0] * maps.shape[3] * maps.shape[4]
        mean = total / pixels
        return Pooled(maps, places), mean, (squares / pixels - mean * mean).clamp_min_(0)

    def mix(self, pooled: Pooled, coefficients: Tensor, out: Tensor) -> None:
        operators(pooled.maps.dtype).mix(pooled.maps, coefficients.contiguous(), out)

    def products(self, g: Tensor, v: Tensor) -> Tensor:
        return operators(g.dtype).products(g, v)  # type: ignore[no-any-return]

    def inner_backward(
        self, g: Tensor, v: Tensor, inputs: Inputs, y: Tensor, b: Tensor, u: Tensor, filters: Filters, *, weights: bool
    ) -> tuple[Tensor, Moments, FilterGradients]:
        towards_y, total, products, gradients = operators(g.dtype).inner_backward(
            g, v, *_dense(inputs), y, b, u, filters.outer, weights
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
        s: Tensor,
        filters: Filters,
        *,
        weights: bool,
    ) -> tuple[Tensor, FilterGradients]:
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
        return towards_s, gradients if weights else None

    def mix_products(self, g: Tensor, pooled: Pooled) -> Tensor:
        return operators(g.dtype).mix_products(g, pooled.maps)  # type: ignore[no-any-return]

    def pool_backward(
        self,
        g: Tensor,
        pooled: Pooled,
        coefficients: Tensor,
        feedback: Tensor,
        constant: Tensor,
        s: Tensor,
        names: Sequence[str],
        stride: int,
    ) -> Tensor:
        return operators(g.dtype).pool_backward(  # type: ignore[no-any-return]
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

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        x, *found = operators(s.dtype).grids(s, moments)
        return x, Moments(*found) if moments else None

    def grids_add(self, x: Tensor, a: Tensor, out: Tensor) -> None:
        operators(x.dtype).grids_add(x, a.contiguous(), out)

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        return operators(g.dtype).grids_products(g, x)  # type: ignore[no-any-return]

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor) -> Tensor:
        feedback, constant = (None if of is None else of.sum(0) for of in (inputs.feedback, inputs.constant))
        return operators(g.dtype).grids_backward(g, x, inputs.direct.contiguous(), feedback, constant, s)  # type: ignore[no-any-return]

    def folded(
        self, weight: Tensor, factor: Tensor | None, moments: Moments, *, pixels: int, eps: float, dtype: torch.dtype
    ) -> Folded:
        assert weight.dtype == dtype
        return Folded(*operators(dtype).folded(weight, factor, *moments, pixels, eps))

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
