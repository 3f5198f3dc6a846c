"""The source of the operations of cells, as plain modules. Imports no torch.

Attribute names are those of `darts_core.models.operations`, so that `state_dict` keys agree.
"""

from __future__ import annotations

import re
from typing import Final

from darts_core.errors import CheckpointError

CLASSES: Final[dict[str, str]] = {
    "ReLUConvBN": '''
class ReLUConvBN(nn.Module):
    """ReLU, convolution, BatchNorm."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1
    ) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)
''',
    "FactorizedReduce": '''
class FactorizedReduce(nn.Module):
    """ReLU, two convolutions of stride 2, one of them a pixel further on, BatchNorm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(shifted)], dim=1))
''',
    "SeparableConv": '''
class SeparableConv(nn.Module):
    """ReLU, depthwise and pointwise convolution, BatchNorm; twice."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            self.depthwise(channels, kernel, stride),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            self.depthwise(channels, kernel, 1),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    @staticmethod
    def depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
        padding = kernel // 2
        return nn.Conv2d(
            channels, channels, kernel, stride, padding, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)
''',
    "DilatedConv": '''
class DilatedConv(nn.Module):
    """ReLU, depthwise convolution of dilation 2, pointwise convolution, BatchNorm."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                stride,
                padding=kernel - 1,
                dilation=2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)
''',
    "FactoredConv": '''
class FactoredConv(nn.Sequential):
    """ReLU, convolutions of 1x7 and 7x1, BatchNorm."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
            nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
            nn.BatchNorm2d(channels),
        )
''',
    "Noise": '''
class Noise(nn.Module):
    """Standard normal noise in place of the input: no two passes are equal."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])
''',
    "Zero": '''
class Zero(nn.Module):
    """The operation `none`."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)
''',
}  # fmt: skip

# The expression that builds each operation; {stride} is 1 or 2.
_EXPRESSIONS: Final = {
    "none": "Zero()",
    "noise": "Noise({stride})",
    "max_pool_3x3": "nn.MaxPool2d(3, stride={stride}, padding=1)",
    "avg_pool_3x3": "nn.AvgPool2d(3, stride={stride}, padding=1, count_include_pad=False)",
    **{f"sep_conv_{k}x{k}": f"SeparableConv(channels, {k}, stride={{stride}})" for k in (3, 5, 7)},
    **{f"dil_conv_{k}x{k}": f"DilatedConv(channels, {k}, stride={{stride}})" for k in (3, 5)},
    "conv_7x1_1x7": "FactoredConv(channels, stride={stride})",
    "nor_conv_1x1": "ReLUConvBN(channels, channels, 1)",
    "nor_conv_3x3": "ReLUConvBN(channels, channels, 3)",
}


def operation(name: str, stride: int) -> str:
    """The expression that builds an operation of so many `channels`. Raises CheckpointError for a package's own one."""
    if name == "skip_connect":
        return "nn.Identity()" if stride == 1 else "FactorizedReduce(channels, channels)"
    if name not in _EXPRESSIONS:
        raise CheckpointError(
            f"the operation {name!r} is of an installed package, not Dartboard's: its source is not written; export as "
            "ONNX, with a name that ends in .onnx"
        )
    return _EXPRESSIONS[name].format(stride=stride)


def used_classes(source: str) -> list[str]:
    """The classes that a source names, in the order above."""
    return [text.strip("\n") for name, text in CLASSES.items() if re.search(rf"\b{name}\b", source)]
