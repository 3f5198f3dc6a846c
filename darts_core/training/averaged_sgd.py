"""Averages the weights of SGD (Polyak and Juditsky, doi:10.1137/0330046) without asking the host for a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from darts_core.models.device_scalar import DeviceScalar


class AveragedSGD(torch.optim.ASGD):
    """`torch.optim.ASGD` with `t0=0` and `lambd=0`, to the bit on a CPU; its state dictionaries are the same.

    The learning rate, and each weight's eta (the rate of its next step), mu (the share of the weights in their mean)
    and count of steps are float32 scalars on the weights' device: a step can be recorded and replayed. torch's own
    reads them on the host, or holds a recorded rate for ever.
    """

    recordable = True

    def __init__(self, weights: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(weights, lr=lr, t0=0, lambd=0.0, weight_decay=weight_decay)
        self._rate = DeviceScalar()

    def rate(self) -> Tensor:
        """Return the learning rate on the weights' device, always in the same tensor. Call it before each replay."""
        [group] = self.param_groups
        return self._rate.holding(group["lr"], group["params"][0].device, torch.float32)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights that have a gradient, then their means. Takes no closure."""
        assert closure is None
        rate, [group] = self.rate(), self.param_groups
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight] or self._begin(weight, rate)
            eta, mu, mean = state["eta"], state["mu"], state["ax"]
            state["step"].add_(1)
            decay = group["weight_decay"]
            # Neither operation takes a number that the host would have to read.
            weight.addcmul_(weight.grad.add(weight, alpha=decay) if decay else weight.grad, eta, value=-1)
            # The first two steps, with mu 1, replace the mean: the sum would round.
            mean.copy_(torch.where(mu == 1, weight, mean + (weight - mean) * mu))
            eta.copy_(rate)
            torch.reciprocal(state["step"], out=mu)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of this optimiser or of torch's."""
        super().load_state_dict(state_dict)
        for weight, state in self.state.items():
            # torch leaves the steps on the checkpoint's device, and gives eta and mu the weights' type.
            for name in ("step", "eta", "mu"):
                state[name] = state[name].to(weight.device, torch.float32)

    def _begin(self, weight: Tensor, rate: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[weight]
        state["step"], state["eta"] = torch.zeros_like(rate), rate.clone()
        state["mu"], state["ax"] = torch.ones_like(rate), torch.zeros_like(weight)
        return state
