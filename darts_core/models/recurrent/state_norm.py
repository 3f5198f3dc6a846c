"""Normalises the states of a window of text by BatchNorm without an affine part, with the gradient from its output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_core.kernels.loader import operators
from darts_core.models.recurrent.kernel_passes import has_kernels


class StateNorm:
    """Normalises batches of states in turn, like one BatchNorm module.

    mean, variance, inverse: (batches, size, 1), of each batch, and the reciprocal of its standard deviation. In
    evaluation mode of the module's running statistics.
    """

    def __init__(self, module: nn.BatchNorm1d, batches: int, batch: int) -> None:
        """Raises ValueError for a batch of 1 in training mode, which has no variance."""
        if module.training and batch == 1:
            raise ValueError("BatchNorm in training mode needs a batch of at least 2, got 1")
        assert module.running_mean is not None
        assert module.running_var is not None
        self.module, self.training, self._batch = module, module.training, batch
        shape = (batches, module.num_features, 1)
        if module.training:
            self.mean, self.variance, self.inverse = module.running_mean.new_empty(3, *shape)
        else:
            self.mean = module.running_mean[:, None].expand(shape)
            self.variance = module.running_var[:, None].expand(shape)
            self.inverse = torch.rsqrt(module.running_var + module.eps)[:, None].expand(shape)

    def forward(self, k: int, x: Tensor, out: Tensor) -> None:
        """Normalise batch k. x, out: (size, B)."""
        if self.module.training and has_kernels(x):
            operators(x.dtype).normalise(x, self.module.eps, self.mean[k], self.variance[k], self.inverse[k], out)
            return
        if self.module.training:
            torch.mean(x, dim=1, keepdim=True, out=self.mean[k])
            centred = x - self.mean[k]
            torch.mean(centred.square(), dim=1, keepdim=True, out=self.variance[k])
            torch.rsqrt(self.variance[k] + self.module.eps, out=self.inverse[k])
        else:
            centred = x - self.mean[k]
        torch.mul(centred, self.inverse[k], out=out)

    def finish(self) -> None:
        """Update the running statistics for all batches; to be called after the last one."""
        module = self.module
        if not module.training:
            return
        assert module.momentum is not None
        assert module.num_batches_tracked is not None
        module.num_batches_tracked.add_(len(self.mean))
        left = 1 - module.momentum
        ages = torch.arange(len(self.mean) - 1, -1, -1, dtype=torch.float64, device=self.mean.device)
        weights = (module.momentum * left**ages).to(self.mean.dtype)
        unbiased = self._batch / (self._batch - 1)
        for running, seen, factor in (
            (module.running_mean, self.mean, 1.0),
            (module.running_var, self.variance, unbiased),
        ):
            assert running is not None
            running.mul_(left ** len(seen)).add_(weights @ seen[..., 0], alpha=factor)


def norm_backward(gradient: Tensor, normalised: Tensor, inverse: Tensor, training: bool, out: Tensor) -> None:
    """Map the gradient of the output to that of the input. inverse: (size, 1); all others: (size, B)."""
    if training and has_kernels(gradient):
        operators(gradient.dtype).normalise_backward(gradient, normalised, inverse, out)
        return
    if training:
        slope = (gradient * normalised).mean(dim=1, keepdim=True)
        gradient = (gradient - gradient.mean(dim=1, keepdim=True)).addcmul_(normalised, slope, value=-1)
    torch.mul(gradient, inverse, out=out)
