"""Moves all weights by SGD in one call, with a learning rate that a recorded step reads anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from darts_core.models.device_scalar import DeviceScalar


class FusedSGD(torch.optim.SGD):
    """`torch.optim.SGD(fused=True)` with one parameter group. Its state is that of `torch.optim.SGD`."""

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        """weights: on a CPU or a CUDA device; others have no fused SGD."""
        super().__init__(weights, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)
        self._rate = DeviceScalar()

    @property
    def recordable(self) -> bool:
        """Whether a replayed step reads the present rate.

        Not by the state of another kind of SGD, which it keeps, nor in float64 on a GPU, whose kernel reads a float32.
        """
        [group] = self.param_groups
        weight = group["params"][0]
        return bool(group["fused"]) and not (weight.is_cuda and weight.dtype == torch.float64)

    def rate(self) -> Tensor:
        """Return the learning rate on the weights' device, always in the same tensor. Call it before each replay."""
        [group] = self.param_groups
        device = group["params"][0].device
        # CUDA's kernel takes a float32 scalar; on a CPU a float64 one has the bits of a Python float.
        return self._rate.holding(group["lr"], device, torch.float32 if device.type == "cuda" else torch.float64)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights that have a gradient. Takes no closure."""
        assert closure is None
        [group] = self.param_groups
        rate: Any = group["lr"]
        if self.recordable:
            group["lr"] = self.rate()
        try:
            super().step()
        finally:
            group["lr"] = rate  # the state keeps a number
