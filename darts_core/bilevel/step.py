"""One step of a search: first the alphas, then the weights. DARTS (arXiv:1806.09055), algorithm 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.bilevel import flat_gradients
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD
from darts_core.data.batches import Batch
from darts_core.distributed.batch_norm import average_statistics
from darts_core.distributed.group import ALONE, Group
from darts_core.models.supernet import SearchNetwork, sum_of


def search_step(
    network: SearchNetwork,
    architect: Architect,
    weight_optimizer: torch.optim.SGD,
    training: Batch,
    validation: Batch,
    grad_clip: float,
    group: Group = ALONE,
    accumulate: int = 1,
) -> tuple[Tensor, Tensor]:
    """Move the alphas on a validation batch, then the weights on a training batch.

    Gives the training batch's mean loss in nats and its logits (N, classes), both without a graph. With several ranks
    the batches are this rank's share. The weight step computes its gradient anew: the architect's, to second order,
    was taken at the old alphas.
    """
    architect.step(training, validation)
    return weight_step(network, weight_optimizer, training, grad_clip, group, accumulate)


def weight_step(
    network: SearchNetwork,
    weight_optimizer: torch.optim.SGD,
    training: Batch,
    grad_clip: float,
    group: Group = ALONE,
    accumulate: int = 1,
) -> tuple[Tensor, Tensor]:
    """Move the weights once, their gradient clipped to the norm `grad_clip`; the alphas stay, bit for bit.

    accumulate: parts that the batch is computed in; their gradients add up to that of the batch, but for BatchNorm,
    which sees each part by itself.
    """
    if isinstance(weight_optimizer, FlatSGD):
        found = weight_gradient(network, weight_optimizer, training, grad_clip, group, accumulate)
        weight_optimizer.step_by(found.gradient)
        average_statistics(network, group)
        return found.loss, found.logits
    weights = network.weights()
    weight_optimizer.zero_grad()
    losses, logits = [], []
    for part, share in training.parts(accumulate):
        answers = network(part.images)
        loss = share * F.cross_entropy(answers, part.labels)
        # For these inputs alone: a gradient of the alphas on training data must not even exist.
        loss.backward(inputs=weights)  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        logits.append(answers.detach())
    group.average_gradients(weights)
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    weight_optimizer.step()
    average_statistics(network, group)
    return sum_of(losses), torch.cat(logits)


class WeightGradient(NamedTuple):
    """Of all weights in one run, clipped; and what the training batch's mean loss and logits (N, classes) were."""

    gradient: Tensor
    loss: Tensor
    logits: Tensor


def weight_gradient(
    network: SearchNetwork,
    optimizer: FlatSGD,
    training: Batch,
    grad_clip: float,
    group: Group = ALONE,
    accumulate: int = 1,
) -> WeightGradient:
    """What `weight_step` moves the weights by, where they lie in one run."""
    losses, logits = [], []

    def parts() -> Iterator[Tensor]:
        for part, share in training.parts(accumulate):
            answers = network(part.images)
            loss = share * F.cross_entropy(answers, part.labels)
            losses.append(loss.detach())
            logits.append(answers.detach())
            yield loss

    alphas = list(network.alphas.values())
    for alpha in alphas:
        alpha.requires_grad_(False)  # a gradient of the alphas on training data must not even exist
    try:
        (gradient,) = group.mean(flat_gradients.weight_gradient(parts(), optimizer.weights))
    finally:
        for alpha in alphas:
            alpha.requires_grad_(True)
    # As `clip_grad_norm_` does, without asking the device for the number.
    gradient.mul_(torch.clamp(grad_clip / (torch.linalg.vector_norm(gradient) + 1e-6), max=1.0))
    return WeightGradient(gradient, sum_of(losses), torch.cat(logits))
