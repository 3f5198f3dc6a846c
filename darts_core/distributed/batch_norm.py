"""BatchNorm whose statistics are those of the whole batch that several ranks share, on GPUs and on CPUs.

The numbers of `torch.nn.SyncBatchNorm`, which computes on GPUs alone and makes the CPU wait for the GPU in each layer.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from darts_core.distributed.batch_sums import BatchSums
from darts_core.distributed.group import ALONE, Group


class WholeBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the ranks of a group, which run it in the same order. Has no second derivatives."""

    def __init__(self, norm: nn.BatchNorm2d, group: Group) -> None:
        """Takes over parameters, buffers and mode of `norm`."""
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.group = group
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.training = norm.training

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        if not self.training:
            return super().forward(x)
        sums = BatchSums(x.numel() // x.shape[1], self.group)
        with torch.autocast(x.device.type, enabled=False):
            out, mean, variance = _WholeBatchNorm.apply(x, self.weight, self.bias, self.eps, sums)
        if self.track_running_stats:
            self._track(mean, variance, sums.all_pixels)
        return out  # type: ignore[no-any-return]

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, pixels: int | Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (pixels / (pixels - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)


def synchronise(network: nn.Module, group: Group) -> None:
    """Give every BatchNorm2d of the network the statistics of the whole batch; the `state_dict` stays the same.

    For an image network that has not run: fused cells collect their modules in the first pass.
    """
    if group.size == 1:
        return
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, WholeBatchNorm2d(child, group))


def group_of(norm: nn.BatchNorm2d) -> Group:
    """The ranks over which a BatchNorm takes its statistics."""
    return norm.group if isinstance(norm, WholeBatchNorm2d) else ALONE


class _WholeBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sums: BatchSums
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output and the float64 mean and biased variance of the whole batch."""
        maps = x if x.dtype == torch.float64 else x.float()
        # In float64, since the difference of the mean square and the squared mean would lose digits in float32.
        variance, mean = (of.double() for of in torch.var_mean(maps, (0, 2, 3), correction=0))
        total, squares = sums([mean * sums.pixels, (variance + mean * mean) * sums.pixels])
        mean = total / sums.pixels
        variance = (squares / sums.pixels - mean * mean).clamp_min_(0)
        of_maps = mean.to(maps.dtype), variance.to(maps.dtype)
        out = F.batch_norm(x, *of_maps, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, *of_maps)
        ctx.eps, ctx.sums = eps, sums
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        sums: BatchSums = ctx.sums
        scale = torch.ones_like(mean) if weight is None else weight.to(mean.dtype)
        with torch.autocast(x.device.type, enabled=False):
            g = g.to(x.dtype)
            # As in evaluation mode, where the sums of g and of g * (x - mean) / deviation are those of bias and weight.
            _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                g, x, scale, mean, variance, None, None, False, ctx.eps, [False, True, True]
            )
            towards_x = None
            if ctx.needs_input_grad[0]:
                total, products = sums([of_bias.double(), of_weight.double()])
                scale = scale * (variance + ctx.eps).rsqrt()
                lost, shift = (-scale * (of / sums.pixels).to(mean.dtype) for of in (products, total))
                towards_x = F.batch_norm(x, mean, variance, lost, shift, False, 0.0, ctx.eps)
                towards_x.addcmul_(g, scale[:, None, None])
        affine = weight is not None
        return towards_x, of_weight if affine else None, of_bias if affine else None, None, None
