"""Builds the stems and the cells' input layers that the supernet and the evaluation network share."""

from __future__ import annotations

from torch import Tensor, nn

from darts_core.models.layout import STEM_MULTIPLIER, Stem
from darts_core.models.operations import FactorizedReduce, ReLUConvBN


class StemNetwork(nn.Module):
    """Base class of networks with a stem. Attribute names follow the DARTS authors' code."""

    def __init__(self, kind: Stem, image_channels: int, channels: int) -> None:
        super().__init__()
        self.stem_kind = kind
        if kind == "imagenet":
            self.stem0, self.stem1 = imagenet_stems(image_channels, channels)
            self.stem_channels = channels
        else:
            self.stem = single_stem(image_channels, channels, stride=2 if kind == "half" else 1)
            self.stem_channels = STEM_MULTIPLIER * channels
        # With the ImageNet stem, the first cell's older input is twice as large as its newer one.
        self.starts_after_reduction = kind == "imagenet"

    def first_inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, channels, H, W) to the first cell's inputs (older, newer)."""
        if self.stem_kind == "imagenet":
            older = self.stem0(x)
            return older, self.stem1(older)
        out = self.stem(x)
        return out, out


def single_stem(image_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    """Build the `cifar` (stride 1) or `half` (stride 2) stem. Its BatchNorm is affine in both networks."""
    outputs = STEM_MULTIPLIER * channels
    return nn.Sequential(
        nn.Conv2d(image_channels, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def imagenet_stems(image_channels: int, channels: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Build both parts of the `imagenet` stem: to a quarter of the image's size, and from there to an eighth.

    The first part ends without a ReLU, since the cell that reads it starts with one.
    """
    half = channels // 2
    return nn.Sequential(
        nn.Conv2d(image_channels, half, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(),
        nn.Conv2d(half, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    ), nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )


def older_input(inputs: int, channels: int, *, after_reduction: bool, affine: bool) -> nn.Module:
    """Build the layer that maps a cell's older input to its channels; after a reduction cell it also halves the map."""
    if after_reduction:
        return FactorizedReduce(inputs, channels, affine=affine)
    return newer_input(inputs, channels, affine=affine)


def newer_input(inputs: int, channels: int, *, affine: bool) -> nn.Module:
    """Build the layer that maps a cell's newer input to its channels."""
    return ReLUConvBN(inputs, channels, 1, 1, 0, affine=affine)
