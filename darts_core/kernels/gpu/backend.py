"""Implements the cell backend for GPUs by Triton kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from darts_core.kernels.gpu import pools
from darts_core.kernels.gpu.algebra import TritonAlgebra
from darts_core.kernels.gpu.depthwise import convolve, towards_input, towards_weight
from darts_core.kernels.gpu.pool_algebra import TritonPoolAlgebra
from darts_core.kernels.gpu.products import apply_matrices, sums_of_products
from darts_core.models.fused.algebra import Inputs, Moments
from darts_core.models.fused.backend import FilterGradients, Filters, Pooled
from darts_core.models.fused.torch_grids import TorchGrids


class TritonBackend(TorchGrids, TritonAlgebra, TritonPoolAlgebra):
    """See `CellBackend`. Results are deterministic, bit for bit."""

    layout: ClassVar[torch.memory_format] = torch.contiguous_format

    def source(self, s: Tensor, filters: Filters, *, moments: bool) -> tuple[Tensor, Tensor, Moments | None]:
        n, channels, height, width = s.shape
        edges = (*filters.first, *filters.dilated)[0].shape[0]
        rows, columns = -(-height // filters.stride), -(-width // filters.stride)
        separable, dilated = len(filters.first), len(filters.dilated)
        u = s.new_empty(n, edges, separable, channels, rows, columns)
        v = s.new_empty(n, edges, separable + dilated, channels, rows, columns)
        shared = _shared(s, edges)
        for place, (weight, dilation) in enumerate(filters.of_source):
            convolve(shared, None, weight, dilation, filters.stride, (u if place < separable else v)[:, :, place])
        if not moments:
            return u, v, None
        found = [(x, x) for x in (u, v[:, :, separable:]) if x.shape[2]]
        return u, v, Moments(*sums_of_products(*found))

    def inner(
        self, u: Tensor, a: Tensor, b: Tensor, filters: Filters, v: Tensor, *, moments: bool
    ) -> tuple[Tensor, Moments | None]:
        y, separable = torch.empty_like(u), u.shape[2]
        apply_matrices(a, u, y)
        for place, weight in enumerate(filters.outer):
            convolve(y[:, :, place], b[:, place], weight, 1, 1, v[:, :, place])
        done = v[:, :, :separable]
        return y, Moments(*sums_of_products((done, done))) if moments else None

    def gather(self, v: Tensor, a: Tensor, out: Tensor) -> None:
        apply_matrices(a, v, out.unsqueeze(2), add=True)

    def products(self, g: Tensor, v: Tensor) -> Tensor:
        return sums_of_products((_for_all(g, v), v))[1]

    def inner_backward(
        self, g: Tensor, v: Tensor, inputs: Inputs, y: Tensor, b: Tensor, u: Tensor, filters: Filters, *, weights: bool
    ) -> tuple[Tensor, Moments, FilterGradients]:
        towards_v = _towards(inputs, g, v, slice(0, u.shape[2]))
        towards_y = torch.empty_like(y)
        gradients = []
        for place, weight in enumerate(filters.outer):
            gradient, x, shift = towards_v[:, :, place], y[:, :, place], b[:, place]
            towards_input(gradient, x, shift, weight, 1, 1, towards_y[:, :, place])
            if weights:
                gradients.append(towards_weight(gradient, x, shift, weight, 1, 1))
        return towards_y, Moments(*sums_of_products((towards_y, u))), gradients if weights else None

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
        edges, separable = v.shape[1], len(filters.first)
        towards_s = s.new_empty(s.shape)
        gradients = []
        maps: list[Tensor] = []
        if of_first is not None:
            maps += _towards(of_first, towards_y, u, slice(None)).unbind(2)
        if v.shape[2] > separable:
            maps += _towards(of_last, g, v, slice(separable, None)).unbind(2)
        for place, (gradient, (weight, dilation)) in enumerate(zip(maps, filters.of_source, strict=True)):
            towards_input(
                gradient, s.unsqueeze(1), None, weight, dilation, filters.stride, towards_s.unsqueeze(1), add=place > 0
            )
            if weights:
                gradients.append(towards_weight(gradient, _shared(s, edges), None, weight, dilation, filters.stride))
        return towards_s, gradients if weights else None

    def pool(self, s: Tensor, names: Sequence[str], stride: int, *, identity: bool) -> tuple[Pooled, Tensor, Tensor]:
        maps, places, sums = pools.pooled(s, names, stride, identity=identity)
        pixels = maps.shape[0] * maps.shape[3] * maps.shape[4]
        return Pooled(maps, places), *pools.moments_of(sums, pixels)

    def mix(self, pooled: Pooled, coefficients: Tensor, out: Tensor) -> None:
        pools.mix(pooled.maps, coefficients, out)

    def mix_products(self, g: Tensor, pooled: Pooled) -> Tensor:
        return pools.mix_products(g, pooled.maps)

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
        return pools.towards(
            g,
            pooled.maps,
            pooled.places,
            coefficients,
            feedback,
            constant,
            s,
            names,
            stride,
        )


def _shared(s: Tensor, edges: int) -> Tensor:
    return s.unsqueeze(1).expand(-1, edges, -1, -1, -1)


def _for_all(g: Tensor, maps: Tensor) -> Tensor:
    return g.unsqueeze(2).expand_as(maps) if g.dim() < maps.dim() else g


def _towards(inputs: Inputs, g: Tensor, maps: Tensor, part: slice) -> Tensor:
    """Return the gradient of the maps (N, E, K, C, H, W) of this part. g: the gradient of their matrix products."""
    maps = maps[:, :, part]
    result = torch.empty(maps.shape, dtype=maps.dtype, device=maps.device)
    direct, feedback, constant = (None if x is None else x[:, part] for x in inputs)
    assert direct is not None
    if not direct[0, 0].is_contiguous():
        direct = direct.contiguous()  # torch's algebra leaves it transposed
    both = None if feedback is None or constant is None else (feedback, maps, constant)
    apply_matrices(direct, _for_all(g, maps), result, feedback=both)
    return result
