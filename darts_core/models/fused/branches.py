"""Computes the edges of one source state in three branches: convolutions, poolings with the identity, and reduces.

A branch computes maps and their `sums`. `fold` takes the sums over the whole batch, which several ranks may share, and
makes the factors by which the maps are added to the nodes. The means that BatchNorm subtracts are constant per edge and
channel; their sum is the branch's bias, which some backends add with the maps. Later, `backward` takes the sums over
pixels of the nodes' gradient g times maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from darts_core.distributed.batch_sums import BatchSums
from darts_core.distributed.group import ALONE, Group
from darts_core.models.fused.algebra import Folded, Gradient, Moments
from darts_core.models.fused.backend import CellBackend, Convolved, Filters, Mixed, added
from darts_core.models.fused.columns import Columns
from darts_core.models.fused.parameters import Norms, SourceModules, Statistics, statistics
from darts_core.models.fused.pool_algebra import PoolStatistics


@dataclass(frozen=True)
class Setting:
    """The modules, backend and BatchNorm mode of one source. group: the ranks that share the batch."""

    modules: SourceModules
    columns: Columns
    backend: CellBackend
    batch_statistics: bool
    eps: float
    group: Group = ALONE


@dataclass(frozen=True)
class Weights:
    """The stacked weights of one source. Matrices: (E, K, C, C), those of the reduces (E, 2, C / 2, C)."""

    filters: Filters
    inner: Tensor | None
    last: Tensor | None
    reduces: list[Tensor]


Towards: TypeAlias = Sequence[Tensor | None]
"""The gradients of the states, so far."""


class Branch(Protocol):
    """The operations of one kind on all edges of a source."""

    sums: list[Tensor]
    """Sums of its maps over this rank's pixels, float64; empty with running statistics."""

    def fold(self, sums: Sequence[Tensor]) -> None:
        """Fold the BatchNorms and w. sums: `sums` over the whole batch."""

    def bias(self) -> Tensor:
        """Return what is to be added besides the maps, unless the backend `adds_biases`: (E, C), float64."""

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics in the order of `SourceModules.norm_groups`."""

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, into: Towards, *, weights: bool
    ) -> tuple[Towards, Tensor, list[Tensor]]:
        """Return the gradients of the states, of w's columns and, if `weights`, of the weights in the groups' order.

        total: sum of g over all pixels of the whole batch, (E, C). products: those of g times each map. into: tensors
        to which the gradients of the states are added, where there are any.
        """


class ConvolutionBranch:
    """All separable and dilated convolutions."""

    def __init__(
        self, setting: Setting, weights: Weights, states: Sequence[Tensor], w: Tensor, batch: BatchSums
    ) -> None:
        """w: the edges' weights, (E, operations), float64."""
        self._setting, self._weights, self._states = setting, weights, states
        self._factor, self._batch = w, batch
        self._u, self._v, moments = setting.backend.source(states, weights.filters, moments=setting.batch_statistics)
        self.sums = [of for each in moments for of in each]
        self._inner: Folded | None = None

    def fold(self, sums: Sequence[Tensor]) -> None:
        """See `Branch`. Computes the second convolutions, and exchanges the sums of the maps before them."""
        backend, weights, modules = self._setting.backend, self._weights, self._setting.modules
        moments = [Moments(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
        of_v = moments
        if weights.inner is not None:
            of_u, of_v = moments[:1], moments[1:]
            self._inner = self._folded(weights.inner, None, modules.inner_norms, of_u)
            self._y, found = backend.inner(
                self._u, self._inner.matrix, self._inner.offset, weights.filters, self._v, moments=bool(moments)
            )
            if found is not None:
                of_v.insert(0, Moments(*self._batch(found)))
        assert weights.last is not None
        self._last = self._folded(weights.last, self._factor, modules.last_norms, of_v)
        self.convolved = Convolved(self._v, self._last)

    def bias(self) -> Tensor:
        """See `Branch`."""
        return self._last.offset.sum(1)

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""
        pixels, modules = self._batch.all_pixels, self._setting.modules
        last = Statistics(modules.last_norms, self._last.mean, self._last.variance, pixels)
        if self._inner is None:
            return [last]
        return [Statistics(modules.inner_norms, self._inner.mean, self._inner.variance, pixels), last]

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, into: Towards, *, weights: bool
    ) -> tuple[Towards, Tensor, list[Tensor]]:
        """See `Branch`. Exchanges the sums of the gradient behind the first convolutions."""
        backend, filters = self._setting.backend, self._weights.filters
        outer = Moments(total.unsqueeze(-2), products)
        last = self._gradient(self._last, self._factor, outer, weights)
        of_first: Gradient | None = None
        outer_filters = None
        y = self._v  # a placeholder without separable convolutions
        if self._inner is not None:
            y, moments, outer_filters = backend.inner_backward(
                g, self._v, last.inputs, self._y, self._inner.offset, self._u, filters, weights=weights
            )
            of_first = self._gradient(self._inner, None, Moments(*self._batch(moments)), weights)
        found, source_filters = backend.source_backward(
            y,
            self._u,
            of_first.inputs if of_first else None,
            g,
            self._v,
            last.inputs,
            self._states,
            filters,
            weights=weights,
        )
        towards = [added(of, before) for of, before in zip(found, into, strict=True)]
        if not weights:
            return towards, last.factor, []
        assert source_filters is not None
        assert last.weight is not None
        separable = len(filters.first)
        inner = [of_first.weight] if of_first and of_first.weight is not None else []
        gradients = [
            *source_filters[:separable],
            *inner,
            *(outer_filters or []),
            *source_filters[separable:],
            last.weight,
        ]
        return towards, last.factor, gradients

    def _folded(self, weight: Tensor, factor: Tensor | None, norms: Norms, moments: Sequence[Moments]) -> Folded:
        backend, eps, dtype = self._setting.backend, self._setting.eps, matrices_type(self._states[0])
        if moments:
            return backend.folded(weight, factor, moments, pixels=self._batch.pixels, eps=eps, dtype=dtype)
        return backend.folded_with(weight, factor, *statistics(norms, len(weight)), eps=eps, dtype=dtype)

    def _gradient(self, of: Folded, factor: Tensor | None, outer: Moments, weights: bool) -> Gradient:
        assert self._weights.last is not None
        dtype = self._weights.last.dtype if weights else None
        return self._setting.backend.gradient_of(of, factor, outer, pixels=self._batch.pixels, weights=dtype)


class PoolBranch:
    """The poolings with their BatchNorms, and the identity of a stride-1 edge.

    All edges pool the same map and normalise it by the same statistics, so that each pooling is computed once and
    scaled per edge.
    """

    def __init__(self, setting: Setting, states: Sequence[Tensor], w: Tensor, batch: BatchSums) -> None:
        """w: of the edges, (E, operations), float64."""
        self._setting, self._states, self._batch = setting, states, batch
        self._names = setting.columns.pool_names
        self._factor = w
        self._poolings = len(states) * len(self._names)
        self._identities = w.shape[1] - self._poolings
        self._pooled, self._found = setting.backend.pool(
            states, self._names, setting.modules.stride, identity=self._identities > 0
        )
        self.sums: list[Tensor] = []
        if setting.batch_statistics and self._names:
            self.sums = self._summed()

    def _summed(self) -> list[Tensor]:
        """The sums of the pooled maps and of their squares; alone none, since the backend's statistics are exact."""
        if self._batch.alone:
            return []
        mean, pixels = self._found.mean, self._batch.pixels
        return [mean * pixels, (self._found.variance + mean * mean) * pixels]

    def fold(self, sums: Sequence[Tensor]) -> None:
        """See `Branch`."""
        setting, found = self._setting, self._found
        if sums:
            mean, squares = (of / self._batch.pixels for of in sums)
            found = PoolStatistics(mean, (squares - mean * mean).clamp_min_(0))
        if self._names and not setting.batch_statistics:
            found = PoolStatistics(*(x.double() for x in statistics(setting.modules.pool_norms, len(self._factor))))
        self._of = setting.backend.folded_pools(
            self._factor, found, identities=self._identities, eps=setting.eps, dtype=matrices_type(self._states[0])
        )
        self.mixed = Mixed(self._pooled, self._of)

    def bias(self) -> Tensor:
        """See `Branch`."""
        return self._of.bias

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""
        if not self._names:
            return []
        mean, variance = (of[:, : self._poolings] for of in (self._of.mean, self._of.variance))
        return [Statistics(self._setting.modules.pool_norms, mean, variance, self._batch.all_pixels)]

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, into: Towards, *, weights: bool
    ) -> tuple[Towards, Tensor, list[Tensor]]:
        """See `Branch`; there are no weights."""
        backend = self._setting.backend
        normed = self._poolings if self._setting.batch_statistics else 0
        found = backend.gradient_of_pools(self._of, total, products, pixels=self._batch.pixels, normed=normed)
        towards = backend.pool_backward(
            g,
            self._pooled,
            self._of.coefficients,
            found.feedback,
            found.constant,
            self._states,
            self._names,
            self._setting.modules.stride,
            into,
        )
        return towards, found.factor, []


class ReduceBranch:
    """The factorized reduces of a state, which replace the identity on edges of stride 2."""

    def __init__(
        self, setting: Setting, number: int, weight: Tensor, states: Sequence[Tensor], w: Tensor, batch: BatchSums
    ) -> None:
        """number: of the state. weight: (E, 2, C / 2, C). w: the edges' weights, (E, 1), float64."""
        self._setting, self._s, self._batch = setting, states[number], batch
        self._number, self._norms = number, setting.modules.reduce_norms[number]
        self._weight, self._factor = weight, w.expand(-1, 2)
        self._x, moments = setting.backend.grids(self._s, moments=setting.batch_statistics)
        self.sums = [] if moments is None else list(moments)

    def fold(self, sums: Sequence[Tensor]) -> None:
        """See `Branch`."""
        weight, backend, eps = self._weight, self._setting.backend, self._setting.eps
        dtype = matrices_type(self._s)
        if sums:
            # All edges read the same grids.
            total, products = sums
            edges = len(weight)
            moments = Moments(
                total.expand(*total.shape[:-3], edges, -1, -1), products.expand(*products.shape[:-4], edges, -1, -1, -1)
            )
            self._of = backend.folded(weight, self._factor, [moments], pixels=self._batch.pixels, eps=eps, dtype=dtype)
        else:
            running = statistics(self._norms, len(weight))
            mean, variance = (x.reshape(weight.shape[:3]) for x in running)
            self._of = backend.folded_with(weight, self._factor, mean, variance, eps=eps, dtype=dtype)

    def add(self, out: Tensor) -> None:
        """Add the maps to out (N, E, C, H, W)."""
        self._setting.backend.grids_add(self._x, self._of, out)

    def bias(self) -> Tensor:
        """See `Branch`."""
        return self._of.offset.flatten(1)

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""
        mean, variance = (x.flatten(1).unsqueeze(1) for x in (self._of.mean, self._of.variance))
        return [Statistics(self._norms, mean, variance, self._batch.all_pixels)]

    def products(self, g: Tensor) -> Tensor:
        """Return the sums of g x^T for both grids, (E, 2, C / 2, C)."""
        return self._setting.backend.grids_products(g, self._x)

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, into: Towards, *, weights: bool
    ) -> tuple[Towards, Tensor, list[Tensor]]:
        """See `Branch`."""
        outer = Moments(total.view(*total.shape[:-1], 2, -1), products)
        dtype = self._weight.dtype if weights else None
        found = self._setting.backend.gradient_of(
            self._of, self._factor, outer, pixels=self._batch.pixels, weights=dtype
        )
        towards = list(into)
        towards[self._number] = self._setting.backend.grids_backward(
            g, self._x, found.inputs, self._s, into[self._number]
        )
        gradients = [] if found.weight is None else [found.weight]
        return towards, found.factor.sum(1, keepdim=True), gradients


def matrices_type(maps: Tensor) -> torch.dtype:
    """Return the type of matrices and biases: rounding them to bf16 would cause the same error at every pixel."""
    return torch.float32 if maps.dtype == torch.bfloat16 else maps.dtype
