"""What the search network and the evaluation network share: the stems, and how a cell takes its inputs in."""

from __future__ import annotations

from torch import Tensor, nn

from darts_core.models.layout import STEM_MULTIPLIER, Stem
from darts_core.models.operations import FactorizedReduce, ReLUConvBN


class StemNetwork(nn.Module):
    """A network that starts with one of the stems. Attribute names are those of the authors' two networks."""

    def __init__(self, kind: Stem, image_channels: int, channels: int) -> None:
        super().__init__()
        self.stem_kind = kind
        if kind == "imagenet":
            self.stem0, self.stem1 = imagenet_stems(image_channels, channels)
            self.stem_channels = channels
        else:
            self.stem = single_stem(image_channels, channels, stride=2 if kind == "half" else 1)
            self.stem_channels = STEM_MULTIPLIER * channels
        # The older of the first cell's inputs is then twice as large as the newer one.
        self.starts_after_reduction = kind == "imagenet"

    def first_inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, channels, H, W) to the first cell's two inputs, (older, newer)."""
        if self.stem_kind == "imagenet":
            older = self.stem0(x)
            return older, self.stem1(older)
        out = self.stem(x)
        return out, out


def single_stem(image_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    """One convolution, for images of CIFAR's size and below, or with stride 2 for those of twice that size.

    Its BatchNorm is affine in both networks.
    """
    outputs = STEM_MULTIPLIER * channels
    return nn.Sequential(
        nn.Conv2d(image_channels, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def imagenet_stems(image_channels: int, channels: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The two first parts for images of ImageNet's size: to a quarter of the size, and from there to an eighth.

    The second starts with a ReLU, the first ends without one: it is read by a cell, which starts with one itself.
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
    """Maps a cell's older input to its channels; behind a reduction it is twice as large and must shrink as well."""
    if after_reduction:
        return FactorizedReduce(inputs, channels, affine=affine)
    return newer_input(inputs, channels, affine=affine)


def newer_input(inputs: int, channels: int, *, affine: bool) -> nn.Module:
    """Maps a cell's newer input to its channels."""
    return ReLUConvBN(inputs, channels, 1, 1, 0, affine=affine)
