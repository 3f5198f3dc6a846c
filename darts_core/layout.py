"""How the networks are laid out, for those who build them and those who only reckon with them. Imports no torch."""

from __future__ import annotations

from typing import Final, Literal

# `cifar`: one convolution at full size. `imagenet`: three of stride 2, so that the cells start at an eighth of it.
Stem = Literal["cifar", "imagenet"]

# The CIFAR stem gives three times the channels of a cell's node: the authors' choice.
STEM_MULTIPLIER: Final = 3

# Channels of the auxiliary head's two convolutions.
AUXILIARY_CHANNELS: Final = (128, 768)


def reduction_layers(layers: int) -> frozenset[int]:
    """Cells (from 0) that halve height and width and double the channels. DARTS (arXiv:1806.09055), section 3.1.1."""
    return frozenset({layers // 3, 2 * layers // 3})


def auxiliary_layer(layers: int) -> int:
    """The cell (from 0) whose output the auxiliary head reads."""
    return 2 * layers // 3
