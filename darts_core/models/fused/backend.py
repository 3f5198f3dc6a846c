"""Defines the interface of the backends that compute the maps of one source state.

A state s feeds E edges. On each edge, K_s separable convolutions compute maps U = first(relu(s)), then Y = A U, then
maps V = outer(relu(Y + b)); K_d dilated convolutions compute maps V = dilated(relu(s)). An edge adds the product of one
matrix with all its maps V to its node. `algebra` gives A, b and the last matrix.

`darts_core.kernels` implements the passes as kernels; `channels_last_backend` (CPUs) and `torch_backend` (all devices)
use torch operations. By default U, V and Y are dense, (N, E, K, C, H, W) of the output's size; a backend may choose
another form. Sums over pixels are float64; a backend may leave them in parts, a dimension before the others, which its
own functions of `algebra` and `pool_algebra` add. g and `out` (N, E, C, H, W) and s (N, C, H, W) are dense within an
image.
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

PoolMoments: TypeAlias = Any
"""`PoolStatistics`, or another form that only its backend reads, unless ranks exchange sums."""

FilterGradients = list[Tensor] | None
"""In the order of the filters; None if the weights need no gradient. A backend may leave them in parts as sums are."""


class Convolved(NamedTuple):
    """V, and the matrices (E, K, C, C) whose products with it the edges add to their nodes."""

    v: Maps
    of: Folded


class Pooled(NamedTuple):
    """maps: (N, P, C, H, W), the pooled maps of each state, then the states themselves if identities leave them."""

    maps: Maps
    places: Tensor  # of the maxima, (N, C, H, W) or of each state; empty without max pooling


class Mixed(NamedTuple):
    """Pooled maps, and the coefficients by which the edges add them to their nodes."""

    pooled: Pooled
    of: FoldedPools


def added(x: Tensor, into: Tensor | None) -> Tensor:
    """Add x to `into` and return it; x itself if there is none."""
    return x if into is None else into.add_(x)


class CellBackend(Protocol):
    """The passes over maps, forward and backward, and the functions of `algebra` and `pool_algebra`."""

    layout: ClassVar[torch.memory_format]
    """The memory format of s, g and `out`."""

    adds_biases: ClassVar[bool]
    """Whether `gather` and `grids_add` add the biases, too. Otherwise the source adds all of them at once."""

    exact_alphas: ClassVar[bool]
    """Whether the alphas and their gradients are float64. Otherwise they have the type of w, and the sums are exact."""

    joins_inputs: ClassVar[bool]
    """Whether several states may be one source, see `SourceModules`. Otherwise `states` has a single one."""

    def source(self, states: Sequence[Tensor], filters: Filters, *, moments: bool) -> tuple[Maps, Maps, list[Moments]]:
        """Compute U, V with its dilated part filled in, and the moments of U and of that part, where they have kinds.

        moments: whether to return them.
        """

    def inner(
        self, u: Maps, a: Tensor, b: Tensor, filters: Filters, v: Maps, *, moments: bool
    ) -> tuple[Maps, Moments | None]:
        """Compute Y, V's separable part and the moments of that part. a: (E, K_s, C, C). b: (E, K_s, C), float64."""

    def pool(
        self, states: Sequence[Tensor], names: Sequence[str], stride: int, *, identity: bool
    ) -> tuple[Pooled, PoolMoments]:
        """Pool the states; return the maps and the statistics of the pooled ones, (states * len(names), C)."""

    def gather(self, convolved: Convolved | None, mixed: Mixed | None, out: Tensor, *, add: bool) -> None:
        """Write to `out` what the edges add to their nodes. add: to what `out` has."""

    def products(self, g: Tensor, v: Maps | None, pooled: Pooled | None) -> tuple[Tensor | None, list[Tensor]]:
        """Return the sums over all pixels of g, (E, C), if they cost nothing.

        Also those of g V^T, (E, K, C, C), and of g times each pooled map, (E, P, C), where there are such maps.
        """

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
        states: Sequence[Tensor],
        filters: Filters,
        *,
        weights: bool,
    ) -> tuple[list[Tensor], FilterGradients]:
        """Return the gradients of the states and of their filters. of_first: None without separable convolutions."""

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
        """Return the gradients of the states.

        A map's gradient is the sum over e of coefficient * g, + feedback * map + constant. feedback, constant: (P, C),
        zero for an identity. into: tensors to which the gradients are added, where there are any.
        """

    def whole(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the gradients of a cell's weights, (E, ...) each, without parts."""

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        """Return relu(s) at even and at odd pixels, (N, 2, C, ceil(H / 2), ceil(W / 2)), and its moments, (1, 2, ...).

        Zeros pad the odd pixels of an odd size. A factorized reduce has one matrix per grid, which computes half of the
        output's channels.
        """

    def grids_add(self, x: Tensor, of: Folded, out: Tensor) -> None:
        """Add the products of the matrices (E, 2, C / 2, C) with x to `out`."""

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        """Return the sums of g x^T over all pixels, (E, 2, C / 2, C)."""

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor, into: Tensor | None) -> Tensor:
        """Return the gradient of s. inputs: of matrices (E, 2, ...). into: a tensor to which it is added, if any."""

    def folded_pools(
        self, factor: Tensor, of: PoolMoments, *, identities: int, eps: float, dtype: torch.dtype
    ) -> FoldedPools:
        """See `pool_algebra.folded_pools`."""

    def gradient_of_pools(
        self, of: FoldedPools, total: Tensor, products: Tensor, *, pixels: int, normed: int
    ) -> PoolGradient:
        """See `pool_algebra.gradient_of_pools`."""

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
