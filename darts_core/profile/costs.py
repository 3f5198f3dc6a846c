"""What layers cost, layer by layer. Imports no torch.

The rules are those of darts_core/models: no convolution has a bias, BatchNorm is affine, every padding keeps the size,
and a stride of 2 halves it, rounding up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True)
class Cost:
    """Trainable parameters, multiply-adds of convolutions and linear layers, and numbers that the layers put out.

    All for one image, in evaluation mode. `activations` counts the output of every layer (ReLU, convolution, BatchNorm,
    pooling, linear), every sum and every concatenation once.
    """

    parameters: int = 0
    multiply_adds: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            self.activations + other.activations,
        )

    @property
    def activation_bytes(self) -> int:
        """Memory of the activations as float32, were none of them freed."""
        return 4 * self.activations


@dataclass(frozen=True)
class Map:
    """A feature map's shape."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self.channels * self.height * self.width


class Chain:
    """One map's way through layers: its shape now, and what the layers passed so far cost."""

    def __init__(self, start: Map) -> None:
        self.map = start
        self.cost = Cost()

    def relu(self) -> Self:
        """A ReLU."""
        return self._put_out(self.map)

    def norm(self) -> Self:
        """A BatchNorm with scale and shift."""
        return self._put_out(self.map, parameters=2 * self.map.channels)

    def pool(self, stride: int) -> Self:
        """A 3x3 pooling."""
        return self._put_out(_strided(self.map, self.map.channels, stride, stride))

    def convolution(
        self, outputs: int, kernel: tuple[int, int], strides: tuple[int, int] = (1, 1), *, groups: int = 1
    ) -> Self:
        """A convolution without bias. kernel, strides: (vertical, horizontal)."""
        weights = outputs * (self.map.channels // groups) * kernel[0] * kernel[1]
        out = _strided(self.map, outputs, *strides)
        return self._put_out(out, parameters=weights, multiply_adds=weights * out.height * out.width)

    def depthwise(self, kernel: int, stride: int) -> Self:
        """One filter a channel; dilation changes nothing here."""
        return self.convolution(self.map.channels, (kernel, kernel), (stride, stride), groups=self.map.channels)

    def pointwise(self, outputs: int) -> Self:
        """A 1x1 convolution."""
        return self.convolution(outputs, (1, 1))

    def factorized_reduce(self, outputs: int) -> Self:
        """ReLU, two strided 1x1 convolutions of half the channels each, their concatenation, BatchNorm."""
        self.relu()
        halves = [Chain(self.map).convolution(outputs // 2, (1, 1), (2, 2)) for _ in range(2)]
        for half in halves:
            self.cost += half.cost
        return self._put_out(_strided(self.map, outputs, 2, 2)).norm()

    def global_pool(self) -> Self:
        """The mean of each channel."""
        return self._put_out(Map(self.map.channels, 1, 1))

    def linear(self, outputs: int) -> Self:
        """A linear layer with bias on all that the map holds."""
        weights = self.map.size * outputs
        return self._put_out(Map(outputs, 1, 1), parameters=weights + outputs, multiply_adds=weights)

    def _put_out(self, out: Map, *, parameters: int = 0, multiply_adds: int = 0) -> Self:
        self.cost += Cost(parameters, multiply_adds, out.size)
        self.map = out
        return self


def _strided(before: Map, channels: int, down: int, across: int) -> Map:
    return Map(channels, -(-before.height // down), -(-before.width // across))


def relu_conv_norm(chain: Chain, outputs: int) -> None:
    """How a cell takes in an input of its own size."""
    chain.relu().pointwise(outputs).norm()


def operation(name: str, chain: Chain, stride: int) -> None:
    """Send a chain through the operation of that name, in its evaluation flavour."""
    _OPERATIONS[name](chain, stride)


def _skip(chain: Chain, stride: int) -> None:
    if stride == 2:
        chain.factorized_reduce(chain.map.channels)


def _separable(kernel: int) -> Callable[[Chain, int], None]:
    def twice(chain: Chain, stride: int) -> None:
        for step in (stride, 1):
            chain.relu().depthwise(kernel, step).pointwise(chain.map.channels).norm()

    return twice


def _dilated(kernel: int) -> Callable[[Chain, int], None]:
    def once(chain: Chain, stride: int) -> None:
        chain.relu().depthwise(kernel, stride).pointwise(chain.map.channels).norm()

    return once


def _factored_seven(chain: Chain, stride: int) -> None:
    channels = chain.map.channels
    chain.relu().convolution(channels, (1, 7), (1, stride)).convolution(channels, (7, 1), (stride, 1)).norm()


def _pool(chain: Chain, stride: int) -> None:
    chain.pool(stride)


_OPERATIONS: Final[dict[str, Callable[[Chain, int], None]]] = {
    "max_pool_3x3": _pool,
    "avg_pool_3x3": _pool,
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "conv_7x1_1x7": _factored_seven,
}
