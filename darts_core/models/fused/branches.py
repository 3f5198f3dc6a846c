"""Computes the edges of one source state in three branches: convolutions, poolings with the identity, and reduces.

A branch computes maps and their `sums`. `add` takes the sums over the whole batch, which several ranks may share, and
adds the maps to the nodes. The means that BatchNorm subtracts are constant per edge and channel; their sum is the
branch's bias. Later, `products` are a branch's sums over pixels of the nodes' gradient g times maps, and `backward`
takes those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from darts_core.distributed.batch_sums import BatchSums
from darts_core.distributed.group import ALONE, Group
from darts_core.models.fused.algebra import Folded, Gradient, Moments
from darts_core.models.fused.backend import CellBackend, Filters
from darts_core.models.fused.columns import Columns
from darts_core.models.fused.parameters import Norms, SourceModules, statistics


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
    reduce: Tensor | None


class Statistics(NamedTuple):
    """Batch means and biased variances of a group of BatchNorms, (E, K, C), over so many pixels per channel."""

    norms: Norms
    mean: Tensor
    variance: Tensor
    pixels: int | Tensor


class Branch(Protocol):
    """The operations of one kind on all edges of a source."""

    sums: list[Tensor]
    """Sums of its maps over this rank's pixels, float64; empty with running statistics."""

    bias: Tensor
    """(E, C), float64, after `add`."""

    def add(self, sums: Sequence[Tensor], out: Tensor) -> None:
        """Add the maps, without the bias, to out (N, E, C, H, W). sums: `sums` over the whole batch."""

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""

    def products(self, g: Tensor) -> Tensor:
        """Return the sums over this rank's pixels of g times each map, float64."""

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, *, weights: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the gradients of s, of w's columns and, if `weights`, of the weights in the order of the groups.

        total: sum of g over all pixels of the whole batch, (E, C), float64. products: `products` over them.
        """


class ConvolutionBranch:
    """All separable and dilated convolutions."""

    def __init__(self, setting: Setting, weights: Weights, s: Tensor, w: Tensor, batch: BatchSums) -> None:
        """w: the edges' weights, (E, operations), float64."""
        self._setting, self._weights, self._s = setting, weights, s
        self._factor, self._batch = w, batch
        self._u, self._v, moments = setting.backend.source(s, weights.filters, moments=setting.batch_statistics)
        self.sums = [] if moments is None else list(moments)
        self._inner: Folded | None = None

    def add(self, sums: Sequence[Tensor], out: Tensor) -> None:
        """See `Branch`. Exchanges the sums of the maps behind the first convolutions."""
        backend, weights, modules = self._setting.backend, self._weights, self._setting.modules
        separable = len(weights.filters.first)
        moments = Moments(*sums) if sums else None
        inner_moments = None
        if weights.inner is not None:
            self._inner = self._folded(weights.inner, None, modules.inner_norms, _part(moments, slice(0, separable)))
            self._b = self._inner.offset.to(self._inner.matrix.dtype)
            self._y, found = backend.inner(
                self._u, self._inner.matrix, self._b, weights.filters, self._v, moments=moments is not None
            )
            inner_moments = None if found is None else Moments(*self._batch(found))
        assert weights.last is not None
        joined = _joined(inner_moments, _part(moments, slice(separable, None)))
        self._last = self._folded(weights.last, self._factor, modules.last_norms, joined)
        backend.gather(self._v, self._last.matrix, out)
        self.bias = self._last.offset.sum(1)

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""
        pixels = self._batch.all_pixels
        found = [Statistics(self._setting.modules.last_norms, self._last.mean, self._last.variance, pixels)]
        if self._inner is not None:
            found.append(Statistics(self._setting.modules.inner_norms, self._inner.mean, self._inner.variance, pixels))
        return found

    def products(self, g: Tensor) -> Tensor:
        """Return the sums of g V^T, (E, K, C, C)."""
        return self._setting.backend.products(g, self._v)

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, *, weights: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See `Branch`. Exchanges the sums of the gradient behind the first convolutions."""
        backend, filters = self._setting.backend, self._weights.filters
        outer = Moments(total.unsqueeze(1), products)
        last = self._gradient(self._last, self._factor, outer, weights)
        of_first: Gradient | None = None
        outer_filters = None
        y = self._v  # a placeholder without separable convolutions
        if self._inner is not None:
            y, moments, outer_filters = backend.inner_backward(
                g, self._v, last.inputs, self._y, self._b, self._u, filters, weights=weights
            )
            of_first = self._gradient(self._inner, None, Moments(*self._batch(moments)), weights)
        towards_s, source_filters = backend.source_backward(
            y,
            self._u,
            of_first.inputs if of_first else None,
            g,
            self._v,
            last.inputs,
            self._s,
            filters,
            weights=weights,
        )
        if not weights:
            return towards_s, last.factor, []
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
        return towards_s, last.factor, gradients

    def _folded(self, weight: Tensor, factor: Tensor | None, norms: Norms, moments: Moments | None) -> Folded:
        backend, eps, dtype = self._setting.backend, self._setting.eps, matrices_type(self._s)
        if moments is not None:
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

    def __init__(self, setting: Setting, s: Tensor, w: Tensor, batch: BatchSums) -> None:
        """w: of the edges, (E, operations), float64."""
        self._setting, self._s, self._batch = setting, s, batch
        self._names = setting.columns.pool_names
        self._factor = w
        self._identity = w.shape[1] > len(self._names)
        self._pooled, self._pooled_mean, self._variance = setting.backend.pool(
            s, self._names, setting.modules.stride, identity=self._identity
        )
        self.sums: list[Tensor] = []
        if setting.batch_statistics and self._names:
            self.sums = self._summed()

    def _summed(self) -> list[Tensor]:
        """The sums of the pooled maps and of their squares; alone none, since the backend's statistics are exact."""
        if self._batch.alone:
            return []
        mean, pixels = self._pooled_mean, self._batch.pixels
        return [mean * pixels, (self._variance + mean * mean) * pixels]

    def add(self, sums: Sequence[Tensor], out: Tensor) -> None:
        """See `Branch`."""
        setting, edges = self._setting, out.shape[1]
        if sums:
            self._pooled_mean, squares = (of / self._batch.pixels for of in sums)
            self._variance = (squares - self._pooled_mean * self._pooled_mean).clamp_min_(0)
        if setting.batch_statistics or not self._names:
            mean, variance = (x.expand(edges, -1, -1) for x in (self._pooled_mean, self._variance))
        else:
            mean, variance = (x.double() for x in statistics(setting.modules.pool_norms, edges))
        self._of = setting.backend.folded_pools(
            self._factor, mean, variance, identity=self._identity, eps=setting.eps, dtype=matrices_type(self._s)
        )
        setting.backend.mix(self._pooled, self._of.coefficients, out)
        self.bias = self._of.bias

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""
        count = len(self._names)
        if not count:
            return []
        mean, norms = self._of.mean[:, :count], self._setting.modules.pool_norms
        return [Statistics(norms, mean, self._variance.expand_as(mean), self._batch.all_pixels)]

    def products(self, g: Tensor) -> Tensor:
        """Return the sums of g times each map, (E, P, C)."""
        return self._setting.backend.mix_products(g, self._pooled)

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, *, weights: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See `Branch`; there are no weights."""
        backend = self._setting.backend
        normed = len(self._names) if self._setting.batch_statistics else 0
        found = backend.gradient_of_pools(self._of, total, products, pixels=self._batch.pixels, normed=normed)
        towards_s = backend.pool_backward(
            g,
            self._pooled,
            self._of.coefficients,
            found.feedback,
            found.constant,
            self._s,
            self._names,
            self._setting.modules.stride,
        )
        return towards_s, found.factor, []


class ReduceBranch:
    """The factorized reduces, which replace the identity on edges of stride 2."""

    def __init__(self, setting: Setting, weight: Tensor, s: Tensor, w: Tensor, batch: BatchSums) -> None:
        """weight: (E, 2, C / 2, C). w: the edges' weights, (E, 1), float64."""
        self._setting, self._s, self._batch = setting, s, batch
        self._weight, self._factor = weight, w.expand(-1, 2)
        self._x, moments = setting.backend.grids(s, moments=setting.batch_statistics)
        self.sums = [] if moments is None else list(moments)

    def add(self, sums: Sequence[Tensor], out: Tensor) -> None:
        """See `Branch`."""
        weight, backend, eps = self._weight, self._setting.backend, self._setting.eps
        dtype = matrices_type(self._s)
        if sums:
            # All edges read the same grids.
            of_edges = Moments(*(of.expand(len(weight), *of.shape) for of in sums))
            self._of = backend.folded(weight, self._factor, of_edges, pixels=self._batch.pixels, eps=eps, dtype=dtype)
        else:
            running = statistics(self._setting.modules.reduce_norms, len(weight))
            mean, variance = (x.reshape(weight.shape[:3]) for x in running)
            self._of = backend.folded_with(weight, self._factor, mean, variance, eps=eps, dtype=dtype)
        backend.grids_add(self._x, self._of.matrix, out)
        self.bias = self._of.offset.flatten(1)

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics."""
        mean, variance = (x.flatten(1).unsqueeze(1) for x in (self._of.mean, self._of.variance))
        return [Statistics(self._setting.modules.reduce_norms, mean, variance, self._batch.all_pixels)]

    def products(self, g: Tensor) -> Tensor:
        """Return the sums of g x^T for both grids, (E, 2, C / 2, C)."""
        return self._setting.backend.grids_products(g, self._x)

    def backward(
        self, g: Tensor, total: Tensor, products: Tensor, *, weights: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See `Branch`."""
        outer = Moments(total.view(self._factor.shape[0], 2, -1), products)
        dtype = self._weight.dtype if weights else None
        found = self._setting.backend.gradient_of(
            self._of, self._factor, outer, pixels=self._batch.pixels, weights=dtype
        )
        towards_s = self._setting.backend.grids_backward(g, self._x, found.inputs, self._s)
        gradients = [] if found.weight is None else [found.weight]
        return towards_s, found.factor.sum(1, keepdim=True), gradients


def matrices_type(maps: Tensor) -> torch.dtype:
    """Return the type of matrices and biases: rounding them to bf16 would cause the same error at every pixel."""
    return torch.float32 if maps.dtype == torch.bfloat16 else maps.dtype


def _part(moments: Moments | None, part: slice) -> Moments | None:
    return None if moments is None else Moments(moments.total[:, part], moments.products[:, part])


def _joined(first: Moments | None, second: Moments | None) -> Moments | None:
    if first is None or second is None:
        return first or second
    return Moments(torch.cat([first.total, second.total], 1), torch.cat([first.products, second.products], 1))
