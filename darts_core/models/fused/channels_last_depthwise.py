"""Depthwise convolutions and their gradients on maps (N, C, H, W) with the channels last, without oneDNN's slow ways.

All are padded to keep the size, and give (N, C, ceil(H / stride), ceil(W / stride)). Weights: any shape with C filters
of k x k.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.fused.channels_last import dense

# For the gradient of wider filters oneDNN takes every 16 channels for a dense convolution: 16 times the work.
_WIDEST: Final = 3


def convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Dilation 1."""
    filters = _filters(x, weight)
    return dense(F.conv2d(x, filters, stride=stride, padding=weight.shape[-1] // 2, groups=len(filters)))


def towards_input(gradient: Tensor, weight: Tensor, stride: int, size: Sequence[int]) -> Tensor:
    """The gradient of x, whose height and width are `size`."""
    if stride == 1:
        return convolve(gradient, weight.flip(-1, -2), 1)
    filters, padding = _filters(gradient, weight), weight.shape[-1] // 2
    # Of x only the form counts.
    shape = (*gradient.shape[:2], *size)
    x = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
    return dense(_backward(gradient, x, filters, padding, padding, stride, 0))


def towards_weight(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """In the shape of the weight: a few columns of the filters at a time, on images moved sideways by as much."""
    filters, size = _filters(x, weight), weight.shape[-1]
    if size <= _WIDEST:
        return _backward(gradient, x, filters, size // 2, size // 2, stride, 1).view(weight.shape)
    columns = []
    for start in range(0, size, _WIDEST):
        some = filters[..., start : start + _WIDEST]
        left = size // 2 - start
        needed = stride * (gradient.shape[-1] - 1) + some.shape[-1]
        inside = x[..., max(0, -left) : needed - left]
        moved = dense(F.pad(inside, (max(0, left), needed - max(0, left) - inside.shape[-1])))
        columns.append(_backward(gradient, moved, some, size // 2, 0, stride, 1))
    return torch.cat(columns, -1).view(weight.shape)


def _backward(gradient: Tensor, x: Tensor, filters: Tensor, rows: int, columns: int, stride: int, which: int) -> Tensor:
    """The gradient of x (0) or of the filters (1)."""
    wanted = [which == 0, which == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, filters, None, [stride] * 2, [rows, columns], [1, 1], False, [0, 0], len(filters), wanted
    )
    return found[which]


def _filters(x: Tensor, weight: Tensor) -> Tensor:
    size = weight.shape[-1]
    return weight.reshape(x.shape[1], 1, size, size)
