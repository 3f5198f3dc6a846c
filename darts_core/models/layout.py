"""Computes the layout of the networks: stem, reduction cells and auxiliary head. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

# `cifar`: one convolution of stride 1. `half`: one of stride 2. `imagenet`: three of stride 2, so that the cells start
# at an eighth of the image's size.
Stem = Literal["cifar", "half", "imagenet"]

# A single-convolution stem has three times the channels of a cell's node, as in the DARTS authors' code.
STEM_MULTIPLIER: Final = 3

# Channels of the auxiliary head's two convolutions.
AUXILIARY_CHANNELS: Final = (128, 768)

# The smallest image whose halved size is large enough for the auxiliary head.
_HALF_FROM: Final = 57
# From this size, the `half` stem would give the cells maps of 64x64 and larger, four times those of CIFAR.
_IMAGENET_FROM: Final = 128

HALVINGS: Final[dict[Stem, int]] = {"cifar": 0, "half": 1, "imagenet": 3}
"""How often each stem halves height and width, rounded up."""

# The smallest map that the auxiliary head's two unpadded layers accept.
_AUXILIARY_MAP: Final[dict[Stem, int]] = {"cifar": 8, "half": 8, "imagenet": 7}


def stem_for(image: int) -> Stem:
    """Choose the stem for images by their shorter side in pixels."""
    if image < _HALF_FROM:
        return "cifar"
    return "half" if image < _IMAGENET_FROM else "imagenet"


def reduction_layers(layers: int, reductions: Collection[int] | None = None) -> frozenset[int]:
    """Return the reduction cells, counted from 0, which halve height and width and double the channels.

    By default those of DARTS (arXiv:1806.09055), section 3.1.1: at one and two thirds of the layers.
    """
    return frozenset({layers // 3, 2 * layers // 3} if reductions is None else reductions)


def auxiliary_layer(layers: int, reductions: Collection[int] | None = None) -> int:
    """Return the cell, counted from 0, that feeds the auxiliary head: the last reduction cell, or at two thirds."""
    return max(reductions) if reductions else 2 * layers // 3


def auxiliary_stride(stem: Stem) -> int:
    """Return the stride of the auxiliary head's pooling: 2 for ImageNet's 7x7 maps, else 3."""
    return 2 if stem == "imagenet" else 3


def least_auxiliary_image(stem: Stem, reductions: int = 2) -> int:
    """Return the smallest image side, in pixels, that leaves a large enough map for the auxiliary head."""
    side = _AUXILIARY_MAP[stem]
    for _ in range(HALVINGS[stem] + reductions):
        side = 2 * side - 1  # halves round up
    return side
