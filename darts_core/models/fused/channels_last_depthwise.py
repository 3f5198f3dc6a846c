"""Computes depthwise convolutions and their gradients on channels-last maps, avoiding oneDNN's slow paths.

Padding keeps the size: (N, C, H, W) maps to (N, C, ceil(H / stride), ceil(W / stride)). Weights may have any shape with
C filters of k x k.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.fused.channels_last import dense

# For the gradient of wider filters, oneDNN convolves groups of 16 channels densely: 16 times the work.
_WIDEST: Final = 3


def convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve x with dilation 1."""
    filters = _filters(x, weight)
    return dense(F.conv2d(x, filters, stride=stride, padding=weight.shape[-1] // 2, groups=len(filters)))


def towards_input(gradient: Tensor, weight: Tensor, stride: int, size: Sequence[int]) -> Tensor:
    """Return the gradient of x. size: height and width of x."""
    if stride == 1:
        return convolve(gradient, weight.flip(-1, -2), 1)
    filters, padding = _filters(gradient, weight), weight.shape[-1] // 2
    # Only the shape of x matters.
    shape = (*gradient.shape[:2], *size)
    x = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
    return dense(_backward(gradient, x, filters, padding, padding, stride, 0))


def towards_weight(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient of the weight, a few filter columns at a time, on images shifted accordingly."""
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
    """Return the gradient of x (which=0) or of the filters (which=1)."""
    wanted = [which == 0, which == 1, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, filters, None, [stride] * 2, [rows, columns], [1, 1], False, [0, 0], len(filters), wanted
    )
    return found[which]


def _filters(x: Tensor, weight: Tensor) -> Tensor:
    size = weight.shape[-1]
    return weight.reshape(x.shape[1], 1, size, size)
