"""Defines the interface of the backends that compute the maps of one source state.

A state s feeds E edges. On each edge, K_s separable convolutions compute maps U = first(relu(s)), then Y = A U, then
maps V = outer(relu(Y + b)); K_d dilated convolutions compute maps V = dilated(relu(s)). An edge adds the product of one
matrix with all its maps V to its node. `algebra` gives A, b and the last matrix.

`darts_core.kernels` implements the passes as kernels; `channels_last_backend` (CPUs) and `torch_backend` (all devices)
use torch operations. By default U, V and Y are dense, (N, E, K, C, H, W) of the output's size; a backend may choose
another form. g and `out` (N, E, C, H, W) and s (N, C, H, W) are dense within an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from darts_core.models.fused.algebra import Folded, Gradient, Inputs, Moments
from darts_core.models.fused.pool_algebra import FoldedPools, PoolGradient


@dataclass(frozen=True)
class Filters:
    """The depthwise filters of all edges that leave a state, (E, C, k, k) each."""

    first: Sequence[Tensor]
    outer: Sequence[Tensor]
    dilated: Sequence[Tensor]
    stride: int

    @property
    def of_source(self) -> list[tuple[Tensor, int]]:
        """Filter and dilation of the convolutions that read the state itself."""
        return [*((f, 1) for f in self.first), *((f, 2) for f in self.dilated)]


Maps: TypeAlias = Any
"""U, V or Y, in a form that only their backend reads."""

FilterGradients = list[Tensor] | None
"""In the order of the filters; None if the weights need no gradient."""


class Pooled(NamedTuple):
    """maps: (N, P, C, H, W), the pooled maps, followed by the state itself if an identity leaves it."""

    maps: Maps
    places: Tensor  # of the maxima, (N, C, H, W); empty without max pooling


class CellBackend(Protocol):
    """The passes over maps, forward and backward, and the functions of `algebra` and `pool_algebra`."""

    layout: ClassVar[torch.memory_format]
    """The memory format of s, g and `out`."""

    def source(self, s: Tensor, filters: Filters, *, moments: bool) -> tuple[Maps, Maps, Moments | None]:
        """Compute U, V with its dilated part filled in, and the moments (E, K_s + K_d, ...) of U and of that part."""

    def inner(
        self, u: Maps, a: Tensor, b: Tensor, filters: Filters, v: Maps, *, moments: bool
    ) -> tuple[Maps, Moments | None]:
        """Compute Y, V's separable part and the moments of that part. a: (E, K_s, C, C). b: (E, K_s, C)."""

    def gather(self, v: Maps, a: Tensor, out: Tensor) -> None:
        """Add each edge's sum of a V to `out`. a: (E, K, C, C)."""

    def pool(self, s: Tensor, names: Sequence[str], stride: int, *, identity: bool) -> tuple[Pooled, Tensor, Tensor]:
        """Pool s; return the maps and the means and biased variances of the pooled ones, (len(names), C), float64."""

    def mix(self, pooled: Pooled, coefficients: Tensor, out: Tensor) -> None:
        """Add the scaled maps to `out`. coefficients: (E, P, C)."""

    def products(self, g: Tensor, v: Maps) -> Tensor:
        """Return the sums of g V^T over all pixels, (E, K, C, C), float64."""

    def inner_backward(
        self, g: Tensor, v: Maps, inputs: Inputs, y: Maps, b: Tensor, u: Maps, filters: Filters, *, weights: bool
    ) -> tuple[Maps, Moments, FilterGradients]:
        """Return the gradient of Y, its sums and its products with U^T, and the gradients of the outer filters."""

    def source_backward(
        self,
        towards_y: Maps,
        u: Maps,
        of_first: Inputs | None,
        g: Tensor,
        v: Maps,
        of_last: Inputs,
        s: Tensor,
        filters: Filters,
        *,
        weights: bool,
    ) -> tuple[Tensor, FilterGradients]:
        """Return the gradients of s and of its filters. of_first: None without separable convolutions."""

    def mix_products(self, g: Tensor, pooled: Pooled) -> Tensor:
        """Return the sums of g times each map over all pixels, (E, P, C), float64."""

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
        """Return the gradient of s. A map's gradient is the sum over e of coefficient * g, + feedback * map + constant.

        feedback, constant: (P, C), zero for the identity.
        """

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        """Return relu(s) at even and at odd pixels, (N, 2, C, ceil(H / 2), ceil(W / 2)), and its moments, (2, ...).

        Zeros pad the odd pixels of an odd size. A factorized reduce has one matrix per grid, which computes half of the
        output's channels.
        """

    def grids_add(self, x: Tensor, a: Tensor, out: Tensor) -> None:
        """Add the product a x to `out`. a: (E, 2, C / 2, C)."""

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        """Return the sums of g x^T over all pixels, (E, 2, C / 2, C), float64."""

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor) -> Tensor:
        """Return the gradient of s. inputs: of matrices (E, 2, ...)."""

    def folded_pools(
        self, factor: Tensor, mean: Tensor, variance: Tensor, *, identity: bool, eps: float, dtype: torch.dtype
    ) -> FoldedPools:
        """See `pool_algebra.folded_pools`."""

    def gradient_of_pools(
        self, of: FoldedPools, total: Tensor, products: Tensor, *, pixels: int, normed: int
    ) -> PoolGradient:
        """See `pool_algebra.gradient_of_pools`."""

    def folded(
        self, weight: Tensor, factor: Tensor | None, moments: Moments, *, pixels: int, eps: float, dtype: torch.dtype
    ) -> Folded:
        """See `algebra.folded`."""

    def folded_with(
        self,
        weight: Tensor,
        factor: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        *,
        eps: float,
        dtype: torch.dtype,
    ) -> Folded:
        """See `algebra.folded_with`."""

    def gradient_of(
        self, of: Folded, factor: Tensor | None, outer: Moments, *, pixels: int, weights: torch.dtype | None
    ) -> Gradient:
        """See `algebra.gradient_of`."""
