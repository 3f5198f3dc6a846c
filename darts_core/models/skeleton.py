"""What the search network and the evaluation network share: where cells reduce, and how a cell takes its inputs in."""

from __future__ import annotations

from torch import nn

from darts_core.models.operations import FactorizedReduce, ReLUConvBN

# The stem gives three times the channels of a cell's node: the authors' choice.
STEM_MULTIPLIER = 3


def reduction_layers(layers: int) -> frozenset[int]:
    """Cells (from 0) that halve height and width and double the channels. DARTS (arXiv:1806.09055), section 3.1.1."""
    return frozenset({layers // 3, 2 * layers // 3})


def stem(image_channels: int, channels: int) -> nn.Sequential:
    """The first layer for images of CIFAR's size and below. Its BatchNorm is affine in both networks."""
    outputs = STEM_MULTIPLIER * channels
    return nn.Sequential(
        nn.Conv2d(image_channels, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def older_input(inputs: int, channels: int, *, after_reduction: bool, affine: bool) -> nn.Module:
    """Maps a cell's older input to its channels; behind a reduction it is twice as large and must shrink as well."""
    if after_reduction:
        return FactorizedReduce(inputs, channels, affine=affine)
    return newer_input(inputs, channels, affine=affine)


def newer_input(inputs: int, channels: int, *, affine: bool) -> nn.Module:
    """Maps a cell's newer input to its channels."""
    return ReLUConvBN(inputs, channels, 1, 1, 0, affine=affine)
