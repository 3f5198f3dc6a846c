"""Stores all weights of a network in one flat tensor, so that a step updates them in one call instead of a thousand.

The network's parameters become views of that tensor; the `state_dict` of network and optimiser is unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.device_scalar import DeviceScalar


class FlatWeights:
    """The weights of a supernet in one flat tensor. Weights that a fused cell reads as one tensor are adjacent.

    Converting or moving the network gives each parameter its own memory; the next reader gathers them again.
    """

    def __init__(self, network: AlphaNetwork) -> None:
        self._network = network
        self.parameters = network.weights()
        # A stable sort: weights without a group follow, in the network's order.
        places = {id(parameter): place for place, parameter in enumerate(network.grouped_weights())}
        self._order = sorted(self.parameters, key=lambda parameter: places.get(id(parameter), len(places)))
        self._values = torch.empty(0)
        self._conversions: int | None = None

    @property
    def values(self) -> Tensor:
        """The flat tensor, 1-d and detached; writing to it changes the weights."""
        # Asked several times a step: a thousand addresses would take a millisecond.
        if self._conversions != self._network.conversions:
            self._conversions = self._network.conversions
            self._values = self.gathered([parameter.detach() for parameter in self._order])
            for parameter, view in zip(self._order, self.views_of(self._values), strict=True):
                parameter.data = view
        return self._values

    def gathered(self, tensors: Sequence[Tensor]) -> Tensor:
        """Copy one tensor per parameter, in `order`, into a new flat tensor."""
        # `view` is faster than `reshape`, and most tensors are contiguous.
        return torch.cat([tensor.view(-1) if tensor.is_contiguous() else tensor.reshape(-1) for tensor in tensors])

    def views_of(self, run: Tensor) -> list[Tensor]:
        """View a flat tensor as one tensor per parameter, in `order`."""
        parts = torch.split(run, [parameter.numel() for parameter in self._order])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self._order, strict=True)]

    def gradient(self, loss: Tensor, alphas: Sequence[Tensor] = ()) -> list[Tensor]:
        """Return the gradients of the alphas and the flat gradient of the weights; zeros for unused ones."""
        found = torch.autograd.grad(loss, [*alphas, *self._order], allow_unused=True, materialize_grads=True)
        return [*found[: len(alphas)], self.gathered(found[len(alphas) :])]

    @property
    def order(self) -> list[nn.Parameter]:
        """The parameters in the order of the flat tensor."""
        return list(self._order)

    @contextlib.contextmanager
    def kept(self) -> Iterator[Tensor]:
        """Yield a copy of the values; on exit, also by an exception, restore them bit-identically."""
        before = self.values.clone()
        try:
            yield before
        finally:
            self.values.copy_(before)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Disable gradients of the weights within the context."""
        for parameter in self._order:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in self._order:
                parameter.requires_grad_(True)


class FlatSGD(torch.optim.SGD):
    """`torch.optim.SGD` with one parameter group, on the flat weights. Its state is that of `torch.optim.SGD`."""

    def __init__(self, weights: FlatWeights, *, lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(weights.parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.weights = weights
        self._momentum: Tensor | None = None
        self._rate = DeviceScalar()

    def rate(self) -> Tensor:
        """Return the learning rate as a scalar on the weights' device, always the same tensor, as CUDA graphs need."""
        values = self.weights.values
        return self._rate.holding(self.param_groups[0]["lr"], values.device, values.dtype)

    @property
    def momentum_buffer(self) -> Tensor | None:
        """The flat momentum buffer; None before the first step."""
        values = self.weights.values
        if self._momentum is not None and self._momentum.dtype != values.dtype:
            self._keep(self._momentum.to(values.dtype))  # the network was converted
        return self._momentum

    @torch.no_grad()
    def step_by(self, gradient: Tensor) -> None:
        """Update the weights by their flat gradient."""
        group, values = self.param_groups[0], self.weights.values
        direction = torch.add(gradient, values, alpha=group["weight_decay"])
        if group["momentum"]:
            buffer = self.momentum_buffer
            if buffer is None:
                self._keep(direction)
            else:
                direction = buffer.mul_(group["momentum"]).add_(direction)
        values.sub_(direction, alpha=group["lr"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state, as `torch.optim.SGD` does."""
        super().load_state_dict(state_dict)
        buffers = [self.state[p].get("momentum_buffer") for p in self.weights.order if p in self.state]
        self._momentum = None
        if buffers and all(buffer is not None for buffer in buffers):
            self._keep(self.weights.gathered([buffer for buffer in buffers if buffer is not None]))

    def _keep(self, run: Tensor) -> None:
        self._momentum = run
        for parameter, view in zip(self.weights.order, self.weights.views_of(run), strict=True):
            self.state[parameter]["momentum_buffer"] = view


@contextlib.contextmanager
def untracked(network: nn.Module) -> Iterator[None]:
    """Freeze the running statistics of all BatchNorms within the context."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
