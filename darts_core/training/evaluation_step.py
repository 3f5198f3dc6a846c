"""Trains a network from scratch by one step: loss, gradient, clipping, SGD, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch
from darts_core.distributed.group import ALONE, Group
from darts_core.models.retrained import RetrainedNetwork
from darts_core.models.supernet import sum_of


def weight_optimizer(
    weights: Iterable[nn.Parameter], config: EvaluationConfig, device: torch.device
) -> torch.optim.SGD:
    """SGD that moves all weights in one call where torch has one for the device, else in a few."""
    fused = device.type in ("cpu", "cuda")
    return torch.optim.SGD(
        weights,
        lr=config.weight_lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        fused=fused or None,
        foreach=None if fused else True,
    )


def restore_optimizer(optimizer: torch.optim.SGD, state: dict[str, Any]) -> None:
    """Go on from `optimizer.state_dict()`, of any kind of SGD, which keeps its kind."""
    optimizer.load_state_dict(state)
    for weight, of_weight in optimizer.state.items():
        buffer = of_weight.get("momentum_buffer")
        if buffer is not None:
            # The fused step reads weight, gradient and buffer as runs of memory: they must be laid out alike, and a
            # checkpoint's are contiguous.
            of_weight["momentum_buffer"] = torch.empty_like(weight).copy_(buffer)


def evaluation_step(
    network: RetrainedNetwork,
    optimizer: torch.optim.SGD,
    batch: Batch,
    config: EvaluationConfig,
    group: Group = ALONE,
) -> tuple[Tensor, Tensor]:
    """Move the weights once; gives the mean loss in nats and the logits (N, classes), both without a graph.

    With several ranks the batch is this rank's share. `accumulate`: in parts, whose gradients add up.
    """
    optimizer.zero_grad()
    losses, logits = [], []
    for part, share in batch.parts(config.accumulate):
        loss, answers = evaluation_loss(network, part, config)
        (share * loss).backward()  # type: ignore[no-untyped-call]
        losses.append(share * loss.detach())
        logits.append(answers.detach())
    weights = list(network.parameters())
    group.average_gradients(weights)
    torch.nn.utils.clip_grad_norm_(weights, config.grad_clip, foreach=True)
    optimizer.step()
    return sum_of(losses), torch.cat(logits)


def evaluation_loss(network: RetrainedNetwork, batch: Batch, config: EvaluationConfig) -> tuple[Tensor, Tensor]:
    """The minimised loss, with its graph, and the logits of the main head."""
    smoothing = config.label_smoothing
    logits, auxiliary = network.with_auxiliary(batch.images)
    loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    if auxiliary is not None:
        aside = F.cross_entropy(auxiliary, batch.labels, label_smoothing=smoothing)
        loss = loss + config.auxiliary_weight * aside
    return loss, logits
