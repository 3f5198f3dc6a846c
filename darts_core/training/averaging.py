"""From SGD to averaged SGD when validation stops improving. Merity et al., AWD-LSTM (arXiv:1708.02182), section 4."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

OptimizerName = Literal["sgd", "asgd"]


def should_average(history: Sequence[float], loss: float, patience: int) -> bool:
    """The non-monotone rule: whether this validation loss is worse than the best of more than `patience` epochs ago.

    history: the validation losses before it, oldest first.
    """
    return len(history) > patience and loss > min(history[:-patience])


def optimizer_of(
    name: OptimizerName, parameters: Sequence[nn.Parameter], *, lr: float, weight_decay: float
) -> torch.optim.SGD | torch.optim.ASGD:
    """Plain SGD, or the same steps with the mean of all weights from its second step on kept beside them.

    torch's ASGD computes with a learning rate that it takes over at the end of each step: one that is changed between
    steps takes effect a step late. So it does in the authors' runs.
    """
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay, foreach=True)
    return torch.optim.ASGD(parameters, lr=lr, t0=0, lambd=0.0, weight_decay=weight_decay)


@contextlib.contextmanager
def averaged(network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """While it is open, the network has the means that ASGD has gathered; it keeps its weights before there are any."""
    kept = {
        weight: weight.detach().clone() for weight in network.parameters() if "ax" in optimizer.state.get(weight, {})
    }
    with torch.no_grad():
        for weight in kept:
            weight.copy_(optimizer.state[weight]["ax"])
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in kept.items():
                weight.copy_(value)


def validated_weights(weights: Mapping[str, Tensor], optimizer_state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The same choice out of a network's and an optimiser's state dictionaries, in the order of the parameters."""
    states = optimizer_state["state"]
    return {name: states.get(i, {}).get("ax", weight) for i, (name, weight) in enumerate(weights.items())}
