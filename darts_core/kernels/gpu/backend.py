"""Implements the cell backend for GPUs by Triton kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from darts_core.kernels.gpu import pools
from darts_core.kernels.gpu.algebra import TritonAlgebra
from darts_core.kernels.gpu.depthwise import Kind, convolve, towards_input, towards_weight
from darts_core.kernels.gpu.grids import TritonGrids
from darts_core.kernels.gpu.pool_algebra import PoolSums, TritonPoolAlgebra
from darts_core.kernels.gpu.products import apply_matrices
from darts_core.kernels.gpu.sums import sums_of_gradient, sums_of_products
from darts_core.models.fused.algebra import Inputs, Moments
from darts_core.models.fused.backend import Convolved, FilterGradients, Filters, Mixed, Pooled
from darts_core.models.fused.pool_algebra import PoolStatistics


class Towards(NamedTuple):
    """The gradients of Y and of V, whose separable part is no longer needed."""

    y: Tensor
    v: Tensor


class TritonBackend(TritonGrids, TritonAlgebra, TritonPoolAlgebra):
    """See `CellBackend`. Results are deterministic, bit for bit."""

    layout: ClassVar[torch.memory_format] = torch.contiguous_format
    adds_biases: ClassVar[bool] = True
    exact_alphas: ClassVar[bool] = False
    joins_inputs: ClassVar[bool] = True

    def __init__(self, *, in_parts: bool = True) -> None:
        """in_parts: leave sums in parts. Otherwise they are added, as an exchange with other ranks requires."""
        self._in_parts = in_parts

    def source(
        self, states: Sequence[Tensor], filters: Filters, *, moments: bool
    ) -> tuple[Tensor, Tensor, list[Moments]]:
        (n, channels, height, width), stride = states[0].shape, filters.stride
        edges, separable, dilated = _edges(filters), len(filters.first), len(filters.dilated)
        size = -(-height // stride), -(-width // stride)
        # V's separable part, its dilated part, U: the last two are written together.
        maps = states[0].new_empty(n, edges, 2 * separable + dilated, channels, *size)
        v, u = maps.tensor_split([separable + dilated], 2)
        of_first, of_dilated = _of_source(filters, len(states))
        out = maps[:, :, separable:]
        convolve(_shared(states, edges), None, [*of_dilated, *of_first], stride, out)
        return u, v, self._moments(out).split(dilated)[::-1] if moments else []

    def inner(
        self, u: Tensor, a: Tensor, b: Tensor, filters: Filters, v: Tensor, *, moments: bool
    ) -> tuple[Tensor, Moments | None]:
        y = torch.empty(u.shape, dtype=u.dtype, device=u.device)
        out = v[:, :, : u.shape[2]]
        apply_matrices(a, u, y)
        convolve(y.unbind(2), b, _of_outer(filters), 1, out)
        return y, self._moments(out) if moments else None

    def gather(self, convolved: Convolved | None, mixed: Mixed | None, out: Tensor, *, add: bool) -> None:
        out = out.unsqueeze(2)
        pooled = None if mixed is None else (mixed.pooled.maps, mixed.of.coefficients, mixed.of.bias)
        if convolved is not None:
            v, of = convolved
            apply_matrices(of.matrix, v, out, constant=of.offset, pooled=pooled, add=add)
        elif pooled is not None or not add:
            nothing = out.new_empty(out.shape[1], 0, *out.shape[3:4] * 2)
            apply_matrices(nothing, out[:, :, :0], out, pooled=pooled, add=add)

    def products(self, g: Tensor, v: Tensor | None, pooled: Pooled | None) -> tuple[Tensor | None, list[Tensor]]:
        convolved = g.unsqueeze(2)[:, :, :0] if v is None else v
        maps = g[:, :0] if pooled is None else pooled.maps
        (total, products), of_pooled = sums_of_gradient(g, convolved, maps, in_parts=self._in_parts)
        found = [] if pooled is None else [of_pooled]
        return (None, found) if v is None else (total[..., 0, :], [products, *found])

    def inner_backward(
        self, g: Tensor, v: Tensor, inputs: Inputs, y: Tensor, b: Tensor, u: Tensor, filters: Filters, *, weights: bool
    ) -> tuple[Towards, Moments, FilterGradients]:
        towards_v, towards_y = _towards(inputs, g, v), torch.empty_like(y)
        separable, kinds, ys = towards_v[:, :, : u.shape[2]], _of_outer(filters), y.unbind(2)
        towards_input(separable, ys, b, kinds, 1, towards_y.unbind(2))
        gradients = towards_weight(separable, ys, b, kinds, 1) if weights else None
        return Towards(towards_y, towards_v), sums_of_products(towards_y, u, in_parts=self._in_parts), gradients

    def source_backward(
        self,
        towards_y: Towards,
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
        if of_first is None:
            maps = _towards(of_last, g, v)
        else:
            maps = towards_y.v
            _towards(of_first, towards_y.y, u, maps[:, :, : u.shape[2]])
        towards_states = [s.new_empty(s.shape) for s in states]
        of_filters = [kind for kinds in _of_source(filters, len(states)) for kind in kinds]
        towards_input(maps, _shared(states, 1), None, of_filters, filters.stride, _shared(towards_states, 1))
        if not weights:
            return towards_states, None
        return towards_states, towards_weight(maps, _shared(states, g.shape[1]), None, of_filters, filters.stride)

    def whole(self, gradients: list[Tensor]) -> list[Tensor]:
        dims = 4  # of the filters of a source, (E, C, k, k), and of its matrices
        parts = [each.flatten(1) for each in gradients if each.dim() > dims]
        if not parts:
            return gradients
        found = iter(torch.split(torch.cat(parts, 1).sum(0), [each.shape[1] for each in parts]))
        return [next(found).view(each.shape[1:]) if each.dim() > dims else each for each in gradients]

    def pool(
        self, states: Sequence[Tensor], names: Sequence[str], stride: int, *, identity: bool
    ) -> tuple[Pooled, PoolSums | PoolStatistics]:
        maps, places, parts = pools.pooled(states, names, stride, identity=identity)
        sums = PoolSums(parts, maps.shape[0] * maps.shape[3] * maps.shape[4])
        return Pooled(maps, places), sums if self._in_parts else sums.statistics()

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
        through = pools.through(g, pooled.maps, coefficients, feedback, constant)
        return pools.towards(through, pooled.places, states, names, stride, into)

    def _moments(self, maps: Tensor) -> Moments:
        return sums_of_products(maps, maps, in_parts=self._in_parts)


def _edges(filters: Filters) -> int:
    return (*filters.first, *filters.dilated)[0].shape[0]


def _of_source(filters: Filters, states: int) -> list[list[Kind]]:
    """The first and the dilated filters, which are ordered by state."""

    def kinds(some: Sequence[Tensor], dilation: int) -> list[Kind]:
        return [Kind(weight, dilation, number * states // len(some)) for number, weight in enumerate(some)]

    return [kinds(filters.first, 1), kinds(filters.dilated, 2)]


def _of_outer(filters: Filters) -> list[Kind]:
    return [Kind(weight, 1, number) for number, weight in enumerate(filters.outer)]


def _shared(states: Sequence[Tensor], edges: int) -> list[Tensor]:
    return [s.unsqueeze(1).expand(-1, edges, -1, -1, -1) for s in states]


def _for_all(g: Tensor, maps: Tensor) -> Tensor:
    return g.unsqueeze(2).expand_as(maps) if g.dim() < maps.dim() else g


def _towards(inputs: Inputs, g: Tensor, maps: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the gradient of the maps (N, E, K, C, H, W). g: the gradient of their matrix products."""
    result = torch.empty(maps.shape, dtype=maps.dtype, device=maps.device) if out is None else out
    apply_matrices(
        inputs.direct,
        _for_all(g, maps),
        result,
        feedback=None if inputs.feedback is None else (inputs.feedback, maps),
        constant=inputs.constant,
    )
    return result
