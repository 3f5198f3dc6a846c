"""Computes depthwise convolutions and their gradients by torch's kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(x: Tensor, weight: Tensor, dilation: int, stride: int) -> Tensor:
    """Map x (N, C, H, W), padded to keep its size, to (N, C, ceil(H / stride), ceil(W / stride)). weight: (C, k, k)."""
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(
        x.contiguous(), weight.unsqueeze(1), stride=stride, padding=padding, dilation=dilation, groups=len(weight)
    )


def convolve_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, dilation: int, stride: int, *, weights: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of x and, if `weights`, of the weight. gradient: of the output of `convolve`."""
    padding = dilation * (weight.shape[-1] // 2)
    towards_x, towards_weight, _ = torch.ops.aten.convolution_backward(
        gradient.contiguous(),
        x.contiguous(),
        weight.unsqueeze(1),
        None,
        [stride] * 2,
        [padding] * 2,
        [dilation] * 2,
        False,
        [0, 0],
        len(weight),
        [True, weights, False],
    )
    return towards_x, towards_weight.squeeze(1) if weights else None
