"""Builds what NAS-Bench-201's networks consist of besides cells (arXiv:2001.00326), section 2.1.

A convolution of 3x3 as the stem, three stages of cells, before the second and the third a residual block of stride 2
that doubles the channels, then BatchNorm, ReLU, global pooling and a linear classifier. Attribute names follow the
benchmark's code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from darts_core.models.operations import ReLUConvBN, operation
from darts_core.spaces.nasbench201 import STAGES


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3, the first of stride 2, besides average pooling and a convolution of 1x1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(inputs, outputs, 3, 2, 1, affine=True)
        self.conv_b = ReLUConvBN(outputs, outputs, 3, 1, 1, affine=True)
        pool = nn.AvgPool2d(2, stride=2, ceil_mode=True)
        self.downsample = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / 2), ceil(W / 2))."""
        return self.downsample(x) + self.conv_b(self.conv_a(x))  # type: ignore[no-any-return]


class NasBench201Skeleton(nn.Module):
    """Base class of NAS-Bench-201's networks."""

    def build(
        self, cell: Callable[[int], nn.Module], *, channels: int, layers: int, classes: int, image_channels: int
    ) -> None:
        """Make the layers in the order of the forward pass.

        cell: makes one for this many channels. channels: of the first stage. layers: number of cells, a multiple of 3.
        """
        first = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(channels))
        self.cells = nn.ModuleList()
        for stage in range(STAGES):
            if stage:
                self.cells.append(ResidualBlock(channels, 2 * channels))
                channels *= 2
            self.cells.extend(cell(channels) for _ in range(layers // STAGES))
        self.lastact = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def logits(self, x: Tensor, cell: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        """Map images (N, channels, H, W) to logits (N, classes). cell: computes one cell."""
        x = self.stem(x)
        for part in self.cells:
            x = part(x) if isinstance(part, ResidualBlock) else cell(part, x)
        return cast("Tensor", self.classifier(self.global_pooling(self.lastact(x)).flatten(1)))


def nasbench201_operation(name: str, channels: int, *, search: bool) -> nn.Module:
    """Build an operation of the space. Unlike in DARTS', no BatchNorm follows the pooling in the search.

    Convolutions have no bias. In a search of the benchmark's authors they have one, which BatchNorm cancels; DrNAS'
    copy of the space has none.
    """
    return operation(name, channels, 1, search=search and name != "avg_pool_3x3")
