"""Implements the cell backend for CPUs without kernels by torch operations on channels-last maps.

Maps of dilated convolutions of stride 1 stay split into four phases (`dilated`) from the convolution to the last
product, since statistics and matrix products do not depend on the order of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from darts_core.models.dilated import add_merged_phases, clear_padding, split_into_phases
from darts_core.models.fused.algebra import Folded, Inputs, Moments, TorchAlgebra
from darts_core.models.fused.backend import Convolved, FilterGradients, Filters, Mixed, Pooled
from darts_core.models.fused.channels_last import (
    add_edges,
    add_multiplied,
    dense,
    image,
    multiplied,
    products,
    sums,
    widened,
)
from darts_core.models.fused.channels_last_depthwise import convolve, towards_input, towards_weight
from darts_core.models.fused.channels_last_pools import ChannelsLastPools
from darts_core.models.fused.pool_algebra import TorchPoolAlgebra
from darts_core.models.fused.torch_grids import TorchGrids


@dataclass
class Last:
    """V as one tensor per kind, (N, E * C, H, W) each."""

    phased: bool  # whether the dilated maps are phases, (4N, E * C, H', W')
    separable: list[Tensor] = field(default_factory=list)
    dilated: list[Tensor] = field(default_factory=list)


class ChannelsLastBackend(ChannelsLastPools, TorchGrids, TorchAlgebra, TorchPoolAlgebra):
    """See `CellBackend`. U and Y are lists with one tensor per separable kind; Y holds relu(Y + b)."""

    layout: ClassVar[torch.memory_format] = torch.channels_last
    adds_biases: ClassVar[bool] = False
    exact_alphas: ClassVar[bool] = True
    joins_inputs: ClassVar[bool] = False

    def source(
        self, states: Sequence[Tensor], filters: Filters, *, moments: bool
    ) -> tuple[list[Tensor], Last, list[Moments]]:
        (s,) = states
        edges = (*filters.first, *filters.dilated)[0].shape[0]
        x = s.relu()
        v = Last(phased=filters.stride == 1)
        wide = widened(x, edges) if filters.first else x
        u = [convolve(wide, weight, filters.stride) for weight in filters.first]
        if filters.dilated:
            wide = widened(_of_dilated(x, v), edges)
            v.dilated = [convolve(wide, weight, 1) for weight in filters.dilated]
            if v.phased:
                for maps in v.dilated:
                    clear_padding(maps, *s.shape[-2:])
        return u, v, [_moments(kinds, edges) for kinds in (u, v.dilated) if kinds] if moments else []

    def inner(
        self, u: list[Tensor], a: Tensor, b: Tensor, filters: Filters, v: Last, *, moments: bool
    ) -> tuple[list[Tensor], Moments | None]:
        b = b.to(a.dtype)
        y = [multiplied(maps, a[:, k], b[:, k]).relu_() for k, maps in enumerate(u)]
        v.separable = [convolve(maps, weight, 1) for maps, weight in zip(y, filters.outer, strict=True)]
        return y, _moments(v.separable, len(a)) if moments else None

    def gather(self, convolved: Convolved | None, mixed: Mixed | None, out: Tensor, *, add: bool) -> None:
        if not add:
            out.zero_()
        if convolved is not None:
            self._gather(*convolved, out)
        if mixed is not None:
            self.mix(*mixed, out)

    def _gather(self, v: Last, of: Folded, out: Tensor) -> None:
        by_kind = of.matrix.unbind(1)
        direct = v.separable if v.phased else [*v.separable, *v.dilated]
        for maps, of_kind in zip(direct, by_kind, strict=False):
            add_multiplied(maps, of_kind, image(out))
        if v.phased and v.dilated:
            of_dilated = by_kind[len(v.separable) :]
            total = multiplied(v.dilated[0], of_dilated[0])
            for maps, of_kind in zip(v.dilated[1:], of_dilated[1:], strict=True):
                add_multiplied(maps, of_kind, total)
            add_merged_phases(total, image(out))

    def products(self, g: Tensor, v: Last | None, pooled: Pooled | None) -> tuple[None, list[Tensor]]:
        found = []
        if v is not None:
            edges = g.shape[1]
            of_v = [products(image(g), maps, edges) for maps in v.separable]
            if v.dilated:
                towards = split_into_phases(image(g)) if v.phased else image(g)
                of_v += [products(towards, maps, edges) for maps in v.dilated]
            found.append(torch.stack(of_v, 1))
        if pooled is not None:
            found.append(self.mix_products(g, pooled))
        return None, found

    def whole(self, gradients: list[Tensor]) -> list[Tensor]:
        return gradients

    def inner_backward(
        self,
        g: Tensor,
        v: Last,
        inputs: Inputs,
        y: list[Tensor],
        b: Tensor,
        u: list[Tensor],
        filters: Filters,
        *,
        weights: bool,
    ) -> tuple[list[Tensor], Moments, FilterGradients]:
        edges = g.shape[1]
        towards_y, gradients = [], []
        for k, weight in enumerate(filters.outer):
            towards_v = _towards(inputs, k, image(g), v.separable[k])
            if weights:
                gradients.append(towards_weight(towards_v, y[k], weight, 1))
            towards_x = towards_input(towards_v, weight, 1, y[k].shape[-2:])
            towards_y.append(torch.ops.aten.threshold_backward(towards_x, y[k], 0))
        outer = Moments(
            torch.stack([sums(maps, edges) for maps in towards_y], 1),
            torch.stack([products(a, b, edges) for a, b in zip(towards_y, u, strict=True)], 1),
        )
        return towards_y, outer, gradients if weights else None

    def source_backward(
        self,
        towards_y: list[Tensor],
        u: list[Tensor],
        of_first: Inputs | None,
        g: Tensor,
        v: Last,
        of_last: Inputs,
        states: Sequence[Tensor],
        filters: Filters,
        *,
        weights: bool,
    ) -> tuple[list[Tensor], FilterGradients]:
        (s,) = states
        edges = g.shape[1]
        x = s.relu()
        towards_s = torch.zeros_like(x)
        gradients = []
        if of_first is not None:
            wide = widened(x, edges) if weights else x
            for k, weight in enumerate(filters.first):
                towards_u = _towards(of_first, k, towards_y[k], u[k])
                if weights:
                    gradients.append(towards_weight(towards_u, wide, weight, filters.stride))
                add_edges(towards_input(towards_u, weight, filters.stride, x.shape[-2:]), edges, towards_s)
        if v.dilated:
            part = _of_dilated(x, v)
            towards_part = torch.zeros_like(part)
            wide = widened(part, edges) if weights else part
            of_out = split_into_phases(image(g)) if v.phased else image(g)
            for k, weight in enumerate(filters.dilated):
                towards_v = _towards(of_last, len(v.separable) + k, of_out, v.dilated[k])
                if v.phased:
                    clear_padding(towards_v, *x.shape[-2:])
                if weights:
                    gradients.append(towards_weight(towards_v, wide, weight, 1))
                add_edges(towards_input(towards_v, weight, 1, part.shape[-2:]), edges, towards_part)
            if v.phased:
                add_merged_phases(towards_part, towards_s)
            else:
                towards_s[:, :, ::2, ::2] += towards_part
        return [torch.ops.aten.threshold_backward(towards_s, x, 0)], gradients if weights else None


def _of_dilated(x: Tensor, v: Last) -> Tensor:
    """Return the input of the dilated convolutions' filters: the phases of x, or every second row and column."""
    return split_into_phases(x) if v.phased else dense(x[:, :, ::2, ::2])


def _moments(kinds: list[Tensor], edges: int) -> Moments:
    return Moments(
        torch.stack([sums(maps, edges) for maps in kinds], 1),
        torch.stack([products(maps, maps, edges) for maps in kinds], 1),
    )


def _towards(inputs: Inputs, kind: int, g: Tensor, maps: Tensor) -> Tensor:
    """Return the gradient of a kind's maps. g: the gradient of their products with the matrices."""
    if inputs.feedback is None or inputs.constant is None:
        return multiplied(g, inputs.direct[:, kind])
    result = multiplied(g, inputs.direct[:, kind], inputs.constant[:, kind])
    add_multiplied(maps, inputs.feedback[:, kind], result)
    return result
