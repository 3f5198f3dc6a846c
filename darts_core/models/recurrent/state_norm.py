"""BatchNorm without scale and shift of the states of a window of text, with the derivative out of its own output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from darts_core.models.recurrent.kernel_passes import has_kernels

_kernels: Any = torch.ops.dartboard


class StateNorm:
    """Normalises batches of states one after the other, as one BatchNorm module does.

    inverse: (batches, size, 1), 1 over each batch's deviation.
    """

    def __init__(self, module: nn.BatchNorm1d, batches: int, batch: int) -> None:
        """Raises ValueError in training mode for a batch of 1: it has no variance."""
        if module.training and batch == 1:
            raise ValueError("BatchNorm in training mode needs a batch of at least 2, got 1")
        assert module.running_mean is not None
        assert module.running_var is not None
        self._module, self._batch = module, batch
        shape = (batches, module.num_features, 1)
        if module.training:
            self._mean, self._variance, self.inverse = module.running_mean.new_empty(3, *shape)
        else:
            self._mean = module.running_mean[:, None].expand(shape)
            self.inverse = torch.rsqrt(module.running_var + module.eps)[:, None].expand(shape)

    def forward(self, k: int, x: Tensor, out: Tensor) -> None:
        """Batch k: (size, B)."""
        if self._module.training and has_kernels(x):
            _kernels.normalise(x, self._module.eps, self._mean[k], self._variance[k], self.inverse[k], out)
            return
        if self._module.training:
            torch.mean(x, dim=1, keepdim=True, out=self._mean[k])
            centred = x - self._mean[k]
            torch.mean(centred.square(), dim=1, keepdim=True, out=self._variance[k])
            torch.rsqrt(self._variance[k] + self._module.eps, out=self.inverse[k])
        else:
            centred = x - self._mean[k]
        torch.mul(centred, self.inverse[k], out=out)

    def finish(self) -> None:
        """After the last batch: bring the running statistics up to date, as if after each one."""
        module = self._module
        if not module.training:
            return
        assert module.momentum is not None
        assert module.num_batches_tracked is not None
        module.num_batches_tracked.add_(len(self._mean))
        left = 1 - module.momentum
        ages = torch.arange(len(self._mean) - 1, -1, -1, dtype=torch.float64, device=self._mean.device)
        weights = (module.momentum * left**ages).to(self._mean.dtype)
        unbiased = self._batch / (self._batch - 1)
        for running, seen, factor in (
            (module.running_mean, self._mean, 1.0),
            (module.running_var, self._variance, unbiased),
        ):
            assert running is not None
            running.mul_(left ** len(seen)).add_(weights @ seen[..., 0], alpha=factor)


def norm_backward(gradient: Tensor, normalised: Tensor, inverse: Tensor, training: bool, out: Tensor) -> None:
    """From the gradient of the output to that of the input. All (size, B) but inverse, (size, 1)."""
    if training and has_kernels(gradient):
        _kernels.normalise_backward(gradient, normalised, inverse, out)
        return
    if training:
        slope = (gradient * normalised).mean(dim=1, keepdim=True)
        gradient = (gradient - gradient.mean(dim=1, keepdim=True)).addcmul_(normalised, slope, value=-1)
    torch.mul(gradient, inverse, out=out)
