"""Builds the candidate operations of a cell by primitive name: DARTS (arXiv:1806.09055), section 3.1.1.

In the search network, BatchNorm has no affine part, so that no operation can rescale itself against its alpha, and
BatchNorm follows each pooling. In the evaluation network, BatchNorm is affine and poolings have none. Attribute names
follow the DARTS authors' code, so that `state_dict` keys agree.

All operations map (N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride)); convolutions have no bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.models.dilated import DilatedDepthwise
from darts_core.operation_plugins import build_function


class ReLUConvBN(nn.Module):
    """ReLU, convolution, BatchNorm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, *, affine: bool) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        return self.op(x)  # type: ignore[no-any-return]


class DilatedConv(nn.Module):
    """ReLU, depthwise convolution of dilation 2, pointwise convolution, BatchNorm."""

    def __init__(self, channels: int, kernel: int, stride: int, *, affine: bool) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            DilatedDepthwise(channels, kernel, stride),
            _pointwise(channels, channels),
            nn.BatchNorm2d(channels, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H', W')."""
        return self.op(x)  # type: ignore[no-any-return]


class SeparableConv(nn.Module):
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm; twice. The first repetition has the stride."""

    def __init__(self, channels: int, kernel: int, stride: int, *, affine: bool) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            _depthwise(channels, kernel, stride),
            _pointwise(channels, channels),
            nn.BatchNorm2d(channels, affine=affine),
            nn.ReLU(),
            _depthwise(channels, kernel, 1),
            _pointwise(channels, channels),
            nn.BatchNorm2d(channels, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H', W')."""
        return self.op(x)  # type: ignore[no-any-return]


# With fewer input channels, oneDNN's weight gradient of a strided 1x1 convolution writes out of bounds: it crashes or
# silently gives wrong numbers (uxlfoundation/oneDNN issue 6035, torch 2.14).
_SAFE_INPUTS: Final = 16


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution of stride 2, without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / 2), ceil(W / 2))."""
        if x.device.type == "cpu" and self.in_channels < _SAFE_INPUTS:
            return F.conv2d(x[:, :, ::2, ::2], self.weight)
        return super().forward(x)


class FactorizedReduce(nn.Module):
    """Halves height and width by two strided 1x1 convolutions, one of them shifted by one pixel.

    For an odd size, zeros pad the shifted input at the bottom (or right), so that both outputs have the same size.
    """

    def __init__(self, inputs: int, outputs: int, *, affine: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = StridedPointwise(inputs, outputs // 2)
        self.conv_2 = StridedPointwise(inputs, outputs // 2)
        self.bn = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / 2), ceil(W / 2))."""
        x = self.relu(x)
        height, width = x.shape[-2:]
        shifted = x[:, :, 1:, 1:]
        if height % 2 or width % 2:
            shifted = F.pad(shifted, (0, width % 2, 0, height % 2))
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(shifted)], dim=1))  # type: ignore[no-any-return]


class Identity(nn.Module):
    """The identity. A class of its own, since drop-path exempts exactly this operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x unchanged."""
        return x


class Zero(nn.Module):
    """The `none` operation: zeros of the other operations' output size."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to zeros (N, C, H', W')."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Absent(nn.Module):
    """Takes the place of an operation that an edge lacks, so that the others keep their numbers. Never called."""


class Noise(nn.Module):
    """Standard normal noise of the input's size, halved at stride 2: RobustDARTS (arXiv:1909.09656), space S4.

    Drawn anew in each pass, from `generator`, on the input's device; by default from torch's global one.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to noise (N, C, H', W'), which has no gradient."""
        return self.drawn(x.detach()[:, :, :: self.stride, :: self.stride])

    def drawn(self, like: Tensor) -> Tensor:
        """Noise of the size, type and device of `like`."""
        if self.generator is None or torch.compiler.is_exporting():
            return torch.randn_like(like)
        return torch.empty_like(like, memory_format=torch.contiguous_format).normal_(generator=self.generator)


class DroppedSkip(Identity):
    """The identity with elementwise dropout in training: P-DARTS (arXiv:1904.12760), section 3.3.1.

    rate, generator: of the pass, which the network sets; the generator is on the input's device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        if not self.training or self.rate == 0:
            return x
        drawn = torch.empty_like(x, memory_format=torch.contiguous_format).uniform_(generator=self.generator)
        return x * ((drawn >= self.rate).to(x.dtype) / (1 - self.rate))


def drawing_in(network: nn.Module) -> list[Noise | DroppedSkip]:
    """The operations of a network that draw random numbers."""
    return [module for module in network.modules() if isinstance(module, Noise | DroppedSkip)]


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels, bias=False)


def _pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def _max_pool(channels: int, stride: int, search: bool) -> nn.Module:
    return _pool(nn.MaxPool2d(3, stride=stride, padding=1), channels, search)


def _average_pool(channels: int, stride: int, search: bool) -> nn.Module:
    return _pool(nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False), channels, search)


def _pool(pool: nn.Module, channels: int, search: bool) -> nn.Module:
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False)) if search else pool


def _skip(channels: int, stride: int, search: bool) -> nn.Module:
    return Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=not search)


def _factored_seven(channels: int, stride: int, search: bool) -> nn.Module:
    # A bare Sequential without `.op` has the keys of the authors' checkpoints.
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
        nn.BatchNorm2d(channels, affine=not search),
    )


_MAKERS: Final[dict[str, Callable[[int, int, bool], nn.Module]]] = {
    "none": lambda channels, stride, search: Zero(stride),
    "noise": lambda channels, stride, search: Noise(stride),
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _average_pool,
    "skip_connect": _skip,
    "sep_conv_3x3": lambda channels, stride, search: SeparableConv(channels, 3, stride, affine=not search),
    "sep_conv_5x5": lambda channels, stride, search: SeparableConv(channels, 5, stride, affine=not search),
    "sep_conv_7x7": lambda channels, stride, search: SeparableConv(channels, 7, stride, affine=not search),
    "dil_conv_3x3": lambda channels, stride, search: DilatedConv(channels, 3, stride, affine=not search),
    "dil_conv_5x5": lambda channels, stride, search: DilatedConv(channels, 5, stride, affine=not search),
    "conv_7x1_1x7": _factored_seven,
    "nor_conv_1x1": lambda channels, stride, search: ReLUConvBN(channels, channels, 1, stride, 0, affine=not search),
    "nor_conv_3x3": lambda channels, stride, search: ReLUConvBN(channels, channels, 3, stride, 1, affine=not search),
}


def operation(name: str, channels: int, stride: int, *, search: bool) -> nn.Module:
    """Build the operation with this name, for the search network or the evaluation network.

    Raises ConfigError for a name that neither this module nor an installed package knows.
    """
    if name in _MAKERS:
        return _MAKERS[name](channels, stride, search)
    module: nn.Module = build_function(name)(channels, stride, search)
    return module
