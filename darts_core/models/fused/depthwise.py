"""Depthwise convolutions and their gradients by torch's own kernels, in the arrangement that each device likes best."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.dilated import split_into_phases, woven_from_phases


def convolve(x: Tensor, weight: Tensor, dilation: int, stride: int) -> Tensor:
    """x: (N, C, H, W), padded to keep its size. weight: (C, k, k). Gives (N, C, ceil(H / stride), ceil(W / stride))."""
    x, dilation, stride, weave = _dense(x, dilation, stride)
    padding = dilation * (weight.shape[-1] // 2)
    return weave(
        F.conv2d(x, weight.unsqueeze(1), stride=stride, padding=padding, dilation=dilation, groups=len(weight))
    )


def convolve_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, dilation: int, stride: int, *, weights: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of x and, where `weights` says so, of the weight, from that of `convolve`."""
    size = x.shape[-2:]
    phased = x.device.type == "cpu" and dilation == 2
    inner, inner_dilation, inner_stride, _ = _dense(x, dilation, stride)
    if phased and stride == 1:
        gradient = split_into_phases(gradient)
    padding = inner_dilation * (weight.shape[-1] // 2)
    towards_x, towards_weight, _ = torch.ops.aten.convolution_backward(
        _likes(gradient),
        inner,
        weight.unsqueeze(1),
        None,
        [inner_stride] * 2,
        [padding] * 2,
        [inner_dilation] * 2,
        False,
        [0, 0],
        len(weight),
        [True, weights, False],
    )
    if phased and stride == 1:
        towards_x = woven_from_phases(towards_x, *size)
    elif phased:
        spread = x.new_zeros(*x.shape).contiguous(memory_format=torch.channels_last)
        spread[:, :, ::2, ::2] = towards_x
        towards_x = spread
    return towards_x, towards_weight.squeeze(1) if weights else None


def _dense(x: Tensor, dilation: int, stride: int) -> tuple[Tensor, int, int, Callable[[Tensor], Tensor]]:
    if x.device.type != "cpu" or dilation == 1:
        return _likes(x), dilation, stride, _unchanged
    if stride == 2:
        return _likes(x[:, :, ::2, ::2]), 1, 1, _unchanged
    height, width = x.shape[-2:]
    return split_into_phases(x), 1, 1, lambda out: woven_from_phases(out, height, width)


def _likes(x: Tensor) -> Tensor:
    # On CPUs depthwise convolutions run several times faster with the channels last; GPUs have kernels for either.
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x.contiguous()


def _unchanged(x: Tensor) -> Tensor:
    return x
