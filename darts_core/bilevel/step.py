"""Runs one search step, alphas then weights: DARTS (arXiv:1806.09055), algorithm 1."""

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
from darts_core.distributed.group import ALONE, Group
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.supernet import sum_of


def search_step(
    network: AlphaNetwork,
    architect: Architect,
    weight_optimizer: torch.optim.SGD,
    training: Batch,
    validation: Batch,
    grad_clip: float,
    group: Group = ALONE,
    accumulate: int = 1,
) -> tuple[Tensor, Tensor]:
    """Update the alphas on a validation batch, then the weights on a training batch.

    Returns the training batch's mean loss in nats and its logits (N, classes), both detached. With several ranks, the
    batches are this rank's share. The weight step recomputes its gradient, since the architect's is at the old alphas.
    """
    if network.method.trains_alphas:
        architect.step(training, validation)
    return weight_step(network, weight_optimizer, training, grad_clip, group, accumulate)


def weight_step(
    network: AlphaNetwork,
    weight_optimizer: torch.optim.SGD,
    training: Batch,
    grad_clip: float,
    group: Group = ALONE,
    accumulate: int = 1,
) -> tuple[Tensor, Tensor]:
    """Update the weights once, with the gradient clipped to the norm `grad_clip`; the alphas stay bit-identical.

    accumulate: number of parts in which the batch is computed. Their gradients sum to that of the batch, except that
    BatchNorm normalises each part on its own.
    """
    if isinstance(weight_optimizer, FlatSGD):
        found = weight_gradient(network, weight_optimizer, training, grad_clip, group, accumulate)
        weight_optimizer.step_by(found.gradient)
        return found.loss, found.logits
    weights = network.weights()
    weight_optimizer.zero_grad()
    network.method.prepare_weight_step(network, training, weights)
    network.method.begin_pass("weights")
    losses, logits = [], []
    for part, share in training.parts(accumulate):
        answers = network(part.images)
        loss = share * F.cross_entropy(answers, part.labels)
        # Restricted to the weights: the alphas must never have a gradient on training data.
        loss.backward(inputs=weights)  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        logits.append(answers.detach())
    group.average_gradients(weights)
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    weight_optimizer.step()
    return sum_of(losses), torch.cat(logits)


class WeightGradient(NamedTuple):
    """The clipped flat gradient of all weights, and the training batch's mean loss in nats and logits (N, classes)."""

    gradient: Tensor
    loss: Tensor
    logits: Tensor


def weight_gradient(
    network: AlphaNetwork,
    optimizer: FlatSGD,
    training: Batch,
    grad_clip: float,
    group: Group = ALONE,
    accumulate: int = 1,
) -> WeightGradient:
    """Compute the gradient of `weight_step` for flat weights."""
    network.method.prepare_weight_step(network, training, optimizer.weights.order)
    network.method.begin_pass("weights")
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
        alpha.requires_grad_(False)  # the alphas must never have a gradient on training data
    try:
        (gradient,) = group.mean(flat_gradients.weight_gradient(parts(), optimizer.weights))
    finally:
        for alpha in alphas:
            alpha.requires_grad_(True)
    # Like `clip_grad_norm_`, without a device synchronisation.
    gradient.mul_(torch.clamp(grad_clip / (torch.linalg.vector_norm(gradient) + 1e-6), max=1.0))
    return WeightGradient(gradient, sum_of(losses), torch.cat(logits))
