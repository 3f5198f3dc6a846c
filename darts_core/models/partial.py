"""Splits maps for partial channels: PC-DARTS (arXiv:1907.05737), section 3.2.

Of C channels, the operations of an edge see the first C / K; the others bypass them, unchanged or pooled where the edge
halves the map. A fixed shuffle then interleaves both parts. It is the same for all edges, so that a node can be summed
up before it.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of (N, C, H, W): channel g * C / groups + i moves to i * groups + g."""
    batch, channels, height, width = x.shape
    return x.view(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)


def unshuffled(x: Tensor, groups: int) -> Tensor:
    """The inverse of `shuffled`."""
    return shuffled(x, x.shape[1] // groups)


def bypass(x: Tensor, stride: int) -> Tensor:
    """The channels that no operation sees: (N, C, H, W), or its 2x2 maxima at stride 2, rounded up like the others."""
    return x if stride == 1 else F.max_pool2d(x, 2, 2, ceil_mode=True)
