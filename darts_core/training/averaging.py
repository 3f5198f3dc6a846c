"""Switches from SGD to averaged SGD when validation stalls. Merity et al., AWD-LSTM (arXiv:1708.02182), section 4."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from darts_core.training.averaged_sgd import AveragedSGD
from darts_core.training.fused_sgd import FusedSGD

OptimizerName = Literal["sgd", "asgd"]


def should_average(history: Sequence[float], loss: float, patience: int) -> bool:
    """Whether this validation loss exceeds the best of more than `patience` epochs ago: the non-monotone rule.

    history: the validation losses before it, oldest first.
    """
    return len(history) > patience and loss > min(history[:-patience])


def optimizer_of(
    name: OptimizerName, parameters: Sequence[nn.Parameter], *, lr: float, weight_decay: float
) -> FusedSGD | AveragedSGD:
    """Plain SGD, or the same steps with the mean of all weights from its second step on kept beside them.

    Averaged SGD computes with a learning rate that it takes over at the end of each step: one that is changed between
    steps takes effect a step late. So it does in the authors' runs.
    """
    if name == "sgd":
        return FusedSGD(parameters, lr=lr, weight_decay=weight_decay)
    return AveragedSGD(parameters, lr=lr, weight_decay=weight_decay)


@contextlib.contextmanager
def averaged(network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Replaces the weights by averaged SGD's means, if there are any, while the context is open."""
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
    """The averaged weights, else the plain ones, from the state dictionaries of a network and its optimiser."""
    states = optimizer_state["state"]
    return {name: states.get(i, {}).get("ax", weight) for i, (name, weight) in enumerate(weights.items())}
