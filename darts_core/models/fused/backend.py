"""The interface of the passes over the maps of one source state.

A state s feeds E edges. Of each edge, K_s separable convolutions start with maps U = first(relu(s)), go on with
Y = A U, and end with maps V = outer(relu(Y + b)); K_d dilated ones have maps V = dilated(relu(s)) at once. What the
edge adds to its node is one product of a matrix with all its maps V. A, b and the last matrix come out of `algebra`.

`darts_core.kernels` computes them in kernels on CPUs, `channels_last_backend` on CPUs and `torch_backend` everywhere in
torch's own operations. U, V and Y are what their passes make of them: (N, E, K, C, H, W) of the output's size, dense,
if nothing else is said. g and `out`, (N, E, C, H, W), are dense within an image, s (N, C, H, W) too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from darts_core.models.fused.algebra import Folded, Gradient, Inputs, Moments


@dataclass(frozen=True)
class Filters:
    """The depthwise filters of all edges that leave a state, each (E, C, k, k)."""

    first: Sequence[Tensor]
    outer: Sequence[Tensor]
    dilated: Sequence[Tensor]
    stride: int

    @property
    def of_source(self) -> list[tuple[Tensor, int]]:
        """Filter and dilation of those that read the state itself."""
        return [*((f, 1) for f in self.first), *((f, 2) for f in self.dilated)]


Maps: TypeAlias = Any
"""U, V or Y: no one but the passes that made them looks into them."""

FilterGradients = list[Tensor] | None
"""In the order of the filters; None where weights want no gradient."""


class Pooled(NamedTuple):
    """(N, P, C, H, W): the pooled maps, and behind them the state itself where an identity leaves it."""

    maps: Maps
    places: Tensor  # of the maxima, (N, C, H, W); empty without max pooling


class CellBackend(Protocol):
    """Forwards first, then backwards; last what is made of the moments (`algebra`)."""

    layout: ClassVar[torch.memory_format]
    """How s, g and `out` lie in memory."""

    def source(self, s: Tensor, filters: Filters, *, moments: bool) -> tuple[Maps, Maps, Moments | None]:
        """U, V with its dilated part filled in, and the moments (E, K_s + K_d, ...) of U and of that part."""

    def inner(
        self, u: Maps, a: Tensor, b: Tensor, filters: Filters, v: Maps, *, moments: bool
    ) -> tuple[Maps, Moments | None]:
        """Y, and V's separable part from it, and the moments of that part. a: (E, K_s, C, C). b: (E, K_s, C)."""

    def gather(self, v: Maps, a: Tensor, out: Tensor) -> None:
        """Add, of each edge, the sum of its a V to `out`. a: (E, K, C, C)."""

    def pool(self, s: Tensor, names: Sequence[str], stride: int, *, identity: bool) -> tuple[Pooled, Tensor, Tensor]:
        """The maps, and the means and biased variances (P without the identity, C) of the pooled ones, float64."""

    def mix(self, pooled: Pooled, coefficients: Tensor, out: Tensor) -> None:
        """Add the scaled maps to `out`. coefficients: (E, P, C)."""

    def products(self, g: Tensor, v: Maps) -> Tensor:
        """Sums over all pixels of g V^T, (E, K, C, C), float64."""

    def inner_backward(
        self, g: Tensor, v: Maps, inputs: Inputs, y: Maps, b: Tensor, u: Maps, filters: Filters, *, weights: bool
    ) -> tuple[Maps, Moments, FilterGradients]:
        """The gradient of Y; its sums alone and with U^T; the gradients of the outer filters."""

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
        """The gradient of s through all its filters, and theirs. of_first: None without separable convolutions."""

    def mix_products(self, g: Tensor, pooled: Pooled) -> Tensor:
        """Sums over all pixels of g times each map, (E, P, C), float64."""

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
        """The gradient of s. That of pooled map p is sum over e of coefficient * g, + feedback * map + constant.

        feedback, constant: (P, C), zero for the identity.
        """

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        """relu(s) at the even and at the odd pixels, (N, 2, C, ceil(H / 2), ceil(W / 2)), and its moments, (2, ...).

        What an odd size lacks of odd pixels is zero. A factorized reduce is a matrix for each of both, which makes half
        of the output's channels.
        """

    def grids_add(self, x: Tensor, a: Tensor, out: Tensor) -> None:
        """Add a x to `out`. a: (E, 2, C / 2, C)."""

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        """Sums over all pixels of g x^T, (E, 2, C / 2, C), float64."""

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor) -> Tensor:
        """The gradient of s. inputs: of (E, 2, ...) matrices."""

    def folded(
        self, weight: Tensor, factor: Tensor | None, moments: Moments, *, pixels: int, eps: float, dtype: torch.dtype
    ) -> Folded:
        """What `algebra.folded` says."""

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
        """What `algebra.folded_with` says."""

    def gradient_of(
        self, of: Folded, factor: Tensor | None, outer: Moments, *, pixels: int, weights: torch.dtype | None
    ) -> Gradient:
        """What `algebra.gradient_of` says."""
