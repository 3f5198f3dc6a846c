"""Computes a cell's input layer in one kernel: ReLU, pointwise convolution, BatchNorm without an affine part.

A `FactorizedReduce` has two convolutions, each on a grid of every second pixel. The maps of ReLU and convolution are
not stored, since the backward pass needs only input and output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from darts_core.distributed.batch_norm import group_of
from darts_core.kernels import loader
from darts_core.models.fused.parameters import Statistics, update_statistics
from darts_core.models.operations import FactorizedReduce, ReLUConvBN


def preprocess(module: nn.Module, x: Tensor) -> Tensor:
    """Apply an input layer to x (N, C, H, W), by the kernel if it supports module and device."""
    convolutions, norm = _parts(module)
    if norm is None or not _suits(norm, x):
        return module(x)  # type: ignore[no-any-return]
    weights = [convolution.weight for convolution in convolutions]
    batch = norm.training or norm.running_mean is None
    statistics: list[Tensor] = []
    out: Tensor = _Preprocess.apply(x, None if batch else norm, norm.eps, statistics, *weights)
    if batch and norm.track_running_stats:
        mean, variance = statistics
        update_statistics([Statistics([norm], mean, variance, out.numel() // out.shape[1])])
    return out


def _parts(module: nn.Module) -> tuple[list[nn.Conv2d], nn.BatchNorm2d | None]:
    if isinstance(module, FactorizedReduce):
        return [module.conv_1, module.conv_2], module.bn
    if isinstance(module, ReLUConvBN):
        _, convolution, norm = module.op
        assert isinstance(convolution, nn.Conv2d)
        if convolution.kernel_size == (1, 1) and convolution.stride == (1, 1) and isinstance(norm, nn.BatchNorm2d):
            return [convolution], norm
    return [], None


def _suits(norm: nn.BatchNorm2d, x: Tensor) -> bool:
    if x.device.type != "cpu" or torch.compiler.is_exporting() or torch.is_autocast_enabled("cpu"):
        return False
    if norm.training and group_of(norm).size > 1:
        return False  # a single kernel cannot exchange its sums
    return not norm.affine and loader.available(x.dtype)


class _Preprocess(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, norm: nn.BatchNorm2d | None, eps: float, statistics: list[Tensor], *weights: Tensor
    ) -> Tensor:
        """norm: provides running statistics; None for batch statistics, which are appended to `statistics`."""
        x = x.contiguous()
        given = (None, None) if norm is None else (norm.running_mean.double(), norm.running_var.double())  # type: ignore[union-attr]
        out, mean, variance = loader.operators(x.dtype).preprocess(x, [w.contiguous() for w in weights], *given, eps)
        if norm is None:
            pixels = out.numel() // out.shape[1]
            if pixels < 2:
                raise ValueError(
                    f"BatchNorm needs more than 1 value a channel in training, and gets {tuple(out.shape)}"
                )
            statistics += [mean, variance]
        ctx.save_for_backward(out, x, variance, *weights)
        ctx.batch, ctx.eps = norm is None, eps
        return out  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        out, x, variance, *weights = ctx.saved_tensors
        wanted = any(ctx.needs_input_grad[4:])
        towards_x, towards_weights = loader.operators(x.dtype).preprocess_backward(
            g.contiguous(), out, x, [w.contiguous() for w in weights], variance, ctx.eps, ctx.batch, wanted
        )
        return towards_x, None, None, None, *(towards_weights if wanted else [None] * len(weights))
