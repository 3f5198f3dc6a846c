"""Implements the cell backend by torch operations, for all devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from darts_core.models.fused.algebra import Inputs, Moments, TorchAlgebra
from darts_core.models.fused.backend import Convolved, FilterGradients, Filters, Mixed, Pooled
from darts_core.models.fused.depthwise import convolve, convolve_backward
from darts_core.models.fused.pool_algebra import TorchPoolAlgebra
from darts_core.models.fused.torch_grids import TorchGrids
from darts_core.models.fused.torch_pools import TorchPools


class TorchBackend(TorchPools, TorchGrids, TorchAlgebra, TorchPoolAlgebra):
    """See `CellBackend`."""

    layout: ClassVar[torch.memory_format] = torch.contiguous_format
    adds_biases: ClassVar[bool] = False
    exact_alphas: ClassVar[bool] = True
    joins_inputs: ClassVar[bool] = False

    def source(
        self, states: Sequence[Tensor], filters: Filters, *, moments: bool
    ) -> tuple[Tensor, Tensor, list[Moments]]:
        (s,) = states
        batch, channels, height, width = s.shape
        edges = (*filters.first, *filters.dilated)[0].shape[0]
        rows, columns = -(-height // filters.stride), -(-width // filters.stride)
        separable, dilated = len(filters.first), len(filters.dilated)
        u = s.new_empty(batch, edges, separable, channels, rows, columns)
        v = s.new_empty(batch, edges, separable + dilated, channels, rows, columns)
        x = s.relu().repeat(1, edges, 1, 1)
        for place, (weight, dilation) in enumerate(filters.of_source):
            out = convolve(x, weight.flatten(0, 1), dilation, filters.stride)
            (u if place < separable else v)[:, :, place] = out.reshape(batch, edges, channels, rows, columns)
        found = (u, v[:, :, separable:]) if moments else ()
        return u, v, [_moments(maps) for maps in found if maps.shape[2]]

    def inner(
        self, u: Tensor, a: Tensor, b: Tensor, filters: Filters, v: Tensor, *, moments: bool
    ) -> tuple[Tensor, Moments | None]:
        edges, separable, channels = u.shape[1:4]
        y = _product(a, u)
        x = _shifted(y, b).relu_()
        for place, weight in enumerate(filters.outer):
            out = convolve(x[:, :, place].flatten(1, 2), weight.flatten(0, 1), 1, 1)
            v[:, :, place] = out.reshape(len(y), edges, channels, *y.shape[4:])
        return y, _moments(v[:, :, :separable]) if moments else None

    def gather(self, convolved: Convolved | None, mixed: Mixed | None, out: Tensor, *, add: bool) -> None:
        if not add:
            out.zero_()
        if convolved is not None:
            n, edges, channels = out.shape[:3]
            # A single `baddbmm_` is impossible: slices of a cell's output have gaps between images.
            matrices = convolved.of.matrix.transpose(1, 2).flatten(2)
            maps = convolved.v.flatten(2, 3).flatten(3)
            out += torch.matmul(matrices, maps).view(n, edges, channels, *out.shape[3:])
        if mixed is not None:
            self.mix(*mixed, out)

    def products(self, g: Tensor, v: Tensor | None, pooled: Pooled | None) -> tuple[None, list[Tensor]]:
        found = []
        if v is not None:
            edges, kinds, channels = v.shape[1:4]
            products = torch.matmul(g.flatten(3), v.flatten(2, 3).flatten(3).transpose(-1, -2))
            summed = products.sum(0, dtype=torch.float64)
            found.append(summed.view(edges, channels, kinds, channels).transpose(1, 2))
        if pooled is not None:
            found.append(self.mix_products(g, pooled))
        return None, found

    def whole(self, gradients: list[Tensor]) -> list[Tensor]:
        return gradients

    def inner_backward(
        self, g: Tensor, v: Tensor, inputs: Inputs, y: Tensor, b: Tensor, u: Tensor, filters: Filters, *, weights: bool
    ) -> tuple[Tensor, Moments, FilterGradients]:
        edges, separable, channels = u.shape[1:4]
        towards_v = _towards(inputs, g.unsqueeze(2), v, slice(0, separable))
        towards_y = torch.empty_like(y)
        x = _shifted(y, b).relu_()
        gradients = []
        for place, weight in enumerate(filters.outer):
            towards_x, towards_weight = convolve_backward(
                towards_v[:, :, place].flatten(1, 2),
                x[:, :, place].flatten(1, 2),
                weight.flatten(0, 1),
                1,
                1,
                weights=weights,
            )
            towards_y[:, :, place] = towards_x.reshape(len(y), edges, channels, *y.shape[4:])
            if towards_weight is not None:
                gradients.append(towards_weight.view_as(weight))
        towards_y *= x > 0
        products = torch.matmul(towards_y.flatten(4), u.flatten(4).transpose(-1, -2)).sum(0, dtype=torch.float64)
        outer = Moments(towards_y.sum((0, 4, 5), dtype=torch.float64), products)
        return towards_y, outer, gradients if weights else None

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
        edges, separable = v.shape[1], len(filters.first)
        x = s.relu().repeat(1, edges, 1, 1)
        towards_s = torch.zeros_like(s)
        gradients = []
        maps = []
        if of_first is not None:
            maps += list(_towards(of_first, towards_y, u, slice(None)).unbind(2))
        maps += list(_towards(of_last, g.unsqueeze(2), v, slice(separable, None)).unbind(2))
        for gradient, (weight, dilation) in zip(maps, filters.of_source, strict=True):
            towards_x, towards_weight = convolve_backward(
                gradient.flatten(1, 2), x, weight.flatten(0, 1), dilation, filters.stride, weights=weights
            )
            towards_s += towards_x.reshape(len(s), edges, *s.shape[1:]).sum(1)
            if towards_weight is not None:
                gradients.append(towards_weight.view_as(weight))
        towards_s *= s > 0
        return [towards_s], gradients if weights else None


def _product(a: Tensor, maps: Tensor) -> Tensor:
    return torch.matmul(a, maps.flatten(4)).view_as(maps)


def _shifted(maps: Tensor, b: Tensor) -> Tensor:
    return maps + b.to(maps.dtype)[..., None, None]


def _moments(maps: Tensor) -> Moments:
    flat = maps.flatten(4)
    products = torch.matmul(flat, flat.transpose(-1, -2))
    return Moments(maps.sum((0, 4, 5), dtype=torch.float64), products.sum(0, dtype=torch.float64))


def _towards(inputs: Inputs, g: Tensor, maps: Tensor, part: slice) -> Tensor:
    """Return the gradient of the maps (N, E, K, C, H, W) of this part. g: the gradient of their matrix products."""
    maps = maps[:, :, part]
    result = torch.matmul(inputs.direct[:, part], g.flatten(4))
    if inputs.feedback is not None and inputs.constant is not None:
        result += torch.matmul(inputs.feedback[:, part], maps.flatten(4))
        result += inputs.constant[:, part].unsqueeze(-1)
    return result.view_as(maps)
