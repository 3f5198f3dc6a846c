"""Counts the cost of each layer. Imports no torch.

Follows darts_core/models: convolutions have no bias, padding keeps the size, and a stride of 2 halves it, rounding up.
In an evaluation network BatchNorm is affine; in a supernet only the stem's is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from darts_core.operation_plugins import cost_function


@dataclass(frozen=True)
class Cost:
    """Trainable parameters, multiply-adds of convolutions and linear layers, and output elements, for one image.

    `activations` counts the output of every layer (ReLU, convolution, BatchNorm, pooling, linear), sum and
    concatenation once. `kept` counts the elements that training keeps for the backward pass.
    """

    parameters: int = 0
    multiply_adds: int = 0
    activations: int = 0
    kept: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            self.activations + other.activations,
            self.kept + other.kept,
        )

    @property
    def activation_bytes(self) -> int:
        """Bytes of all activations as float32, if none were freed."""
        return 4 * self.activations

    @property
    def training_bytes(self) -> int:
        """Bytes of what training keeps for the backward pass, as float32."""
        return 4 * self.kept


@dataclass(frozen=True)
class Map:
    """A feature map's shape."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.channels * self.height * self.width


class Chain:
    """Accumulates the cost of a chain of layers applied to one map.

    A layer whose gradient needs its input keeps that input, counted once. `keeps_start` tells whether the kept map is
    the chain's start, which several chains may share.
    """

    def __init__(self, start: Map) -> None:
        self.map = start
        self.cost = Cost()
        self.keeps_start = False
        self._at_start, self._is_kept = True, False

    def relu(self) -> Self:
        """A ReLU; its gradient needs its output."""
        self._put_out(self.map)
        return self.keep()

    def norm(self, *, affine: bool = True) -> Self:
        """A BatchNorm, with scale and shift when affine."""
        return self.keep()._put_out(self.map, parameters=2 * self.map.channels if affine else 0)

    def pool(self, stride: int, *, largest: bool = False) -> Self:
        """A 3x3 average or max pooling; the latter keeps its indices."""
        self.keep()._put_out(_strided(self.map, self.map.channels, stride, stride))
        if largest:
            self.cost += Cost(kept=2 * self.map.size)  # eight-byte indices
        return self

    def keep(self) -> Self:
        """Keep the current map for the backward pass."""
        if self._at_start:
            self.keeps_start = True
        elif not self._is_kept:
            self.cost += Cost(kept=self.map.size)
        self._is_kept = True
        return self

    def convolution(
        self, outputs: int, kernel: tuple[int, int], strides: tuple[int, int] = (1, 1), *, groups: int = 1
    ) -> Self:
        """A convolution without bias. kernel, strides: (vertical, horizontal)."""
        weights = outputs * (self.map.channels // groups) * kernel[0] * kernel[1]
        out = _strided(self.map, outputs, *strides)
        return self.keep()._put_out(out, parameters=weights, multiply_adds=weights * out.height * out.width)

    def depthwise(self, kernel: int, stride: int) -> Self:
        """A depthwise convolution; dilation does not change its cost."""
        return self.convolution(self.map.channels, (kernel, kernel), (stride, stride), groups=self.map.channels)

    def pointwise(self, outputs: int) -> Self:
        """A 1x1 convolution."""
        return self.convolution(outputs, (1, 1))

    def factorized_reduce(self, outputs: int, *, affine: bool = True) -> Self:
        """ReLU, two strided 1x1 convolutions of half the channels each, concatenation, BatchNorm."""
        self.relu()
        halves = [Chain(self.map).convolution(outputs // 2, (1, 1), (2, 2)) for _ in range(2)]
        for half in halves:
            self.cost += half.cost
        if self.map.height % 2 or self.map.width % 2:
            self.cost += Cost(kept=self.map.size)  # the shifted input is padded, hence copied
        return self._put_out(_strided(self.map, outputs, 2, 2)).norm(affine=affine)

    def zeros(self, stride: int) -> Self:
        """The `none` operation."""
        return self._put_out(_strided(self.map, self.map.channels, stride, stride))

    def global_pool(self) -> Self:
        return self._put_out(Map(self.map.channels, 1, 1))

    def linear(self, outputs: int) -> Self:
        """A linear layer with bias on the flattened map."""
        weights = self.map.size * outputs
        return self.keep()._put_out(Map(outputs, 1, 1), parameters=weights + outputs, multiply_adds=weights)

    def _put_out(self, out: Map, *, parameters: int = 0, multiply_adds: int = 0) -> Self:
        self.cost += Cost(parameters, multiply_adds, out.size)
        self.map = out
        self._at_start = self._is_kept = False
        return self


def _strided(before: Map, channels: int, down: int, across: int) -> Map:
    return Map(channels, -(-before.height // down), -(-before.width // across))


def older_input(chain: Chain, outputs: int, *, after_reduction: bool, affine: bool = True) -> None:
    """Preprocess the older input, which is twice as large after a reduction."""
    if after_reduction:
        chain.factorized_reduce(outputs, affine=affine)
    else:
        newer_input(chain, outputs, affine=affine)


def newer_input(chain: Chain, outputs: int, *, affine: bool = True) -> None:
    """Preprocess the newer input."""
    chain.relu().pointwise(outputs).norm(affine=affine)


def operation(name: str, chain: Chain, stride: int, *, search: bool = False) -> None:
    """Apply the named operation in its search or evaluation form."""
    (_OPERATIONS.get(name) or cost_function(name))(chain, stride, search)


_Operation = Callable[[Chain, int, bool], None]


def _zero(chain: Chain, stride: int, search: bool) -> None:
    chain.zeros(stride)


def _skip(chain: Chain, stride: int, search: bool) -> None:
    if stride == 2:
        chain.factorized_reduce(chain.map.channels, affine=not search)


def _separable(kernel: int) -> _Operation:
    def twice(chain: Chain, stride: int, search: bool) -> None:
        for step in (stride, 1):
            chain.relu().depthwise(kernel, step).pointwise(chain.map.channels).norm(affine=not search)

    return twice


def _dilated(kernel: int) -> _Operation:
    def once(chain: Chain, stride: int, search: bool) -> None:
        chain.relu().depthwise(kernel, stride).pointwise(chain.map.channels).norm(affine=not search)

    return once


def _plain(kernel: int) -> _Operation:
    def once(chain: Chain, stride: int, search: bool) -> None:
        chain.relu().convolution(chain.map.channels, (kernel, kernel), (stride, stride)).norm(affine=not search)

    return once


def _factored_seven(chain: Chain, stride: int, search: bool) -> None:
    channels = chain.map.channels
    chain.relu().convolution(channels, (1, 7), (1, stride)).convolution(channels, (7, 1), (stride, 1))
    chain.norm(affine=not search)


def _pool(*, largest: bool) -> _Operation:
    def pool(chain: Chain, stride: int, search: bool) -> None:
        chain.pool(stride, largest=largest)
        if search:
            chain.norm(affine=False)

    return pool


_OPERATIONS: Final[dict[str, _Operation]] = {
    "none": _zero,
    "noise": _zero,
    "max_pool_3x3": _pool(largest=True),
    "avg_pool_3x3": _pool(largest=False),
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "conv_7x1_1x7": _factored_seven,
    "nor_conv_1x1": _plain(1),
    "nor_conv_3x3": _plain(3),
}
