"""How the networks are laid out, for those who build them and those who only reckon with them. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

# `cifar`: one convolution at full size. `half`: the same with stride 2. `imagenet`: three of stride 2, so that the
# cells start at an eighth of it.
Stem = Literal["cifar", "half", "imagenet"]

# The stem of a single convolution gives three times the channels of a cell's node: the authors' choice.
STEM_MULTIPLIER: Final = 3

# Channels of the auxiliary head's two convolutions.
AUXILIARY_CHANNELS: Final = (128, 768)

# From this side on: the smallest image on which the halved size still leaves the auxiliary head its map.
_HALF_FROM: Final = 57
# From this side on the cells would otherwise work on maps of 64x64 and more, four times those of CIFAR.
_IMAGENET_FROM: Final = 128

# How often a stem halves, and the smallest map that the auxiliary head's two unpadded layers can read behind it.
_HALVINGS: Final[dict[Stem, int]] = {"cifar": 0, "half": 1, "imagenet": 3}
_AUXILIARY_MAP: Final[dict[Stem, int]] = {"cifar": 8, "half": 8, "imagenet": 7}


def stem_for(image: int) -> Stem:
    """The stem for images whose shorter side has this many pixels."""
    if image < _HALF_FROM:
        return "cifar"
    return "half" if image < _IMAGENET_FROM else "imagenet"


def reduction_layers(layers: int, reductions: Collection[int] | None = None) -> frozenset[int]:
    """Cells (from 0) that halve height and width and double the channels: the given ones, else DARTS' two.

    DARTS (arXiv:1806.09055), section 3.1.1; of a single cell the two are one.
    """
    return frozenset({layers // 3, 2 * layers // 3} if reductions is None else reductions)


def auxiliary_layer(layers: int, reductions: Collection[int] | None = None) -> int:
    """The cell (from 0) whose output the auxiliary head reads: the last reduction, or at two thirds without any."""
    return max(reductions) if reductions else 2 * layers // 3


def auxiliary_stride(stem: Stem) -> int:
    """The stride of the auxiliary head's pooling: the authors' two choices, for the 8x8 and the 7x7 map."""
    return 2 if stem == "imagenet" else 3


def least_auxiliary_image(stem: Stem, reductions: int = 2) -> int:
    """The smallest side of an image that leaves the auxiliary head, behind all reductions, the map it needs."""
    side = _AUXILIARY_MAP[stem]
    for _ in range(_HALVINGS[stem] + reductions):
        side = 2 * side - 1  # the smallest side of which half, rounded up, is that
    return side
