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
from darts_core.training.fused_sgd import FusedSGD


def weight_optimizer(
    weights: Iterable[nn.Parameter], config: EvaluationConfig, device: torch.device
) -> torch.optim.SGD:
    """SGD that moves all weights in one call where torch has one for the device, else in a few."""
    options: dict[str, Any] = {
        "lr": config.weight_lr,
        "momentum": config.momentum,
        "weight_decay": config.weight_decay,
        "nesterov": config.nesterov,
    }
    if device.type in ("cpu", "cuda"):
        return FusedSGD(weights, **options)
    return torch.optim.SGD(weights, **options, foreach=True)


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
    drawn: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Move the weights once; gives the mean loss in nats and the logits (N, classes), both detached.

    With several ranks the batch is this rank's share. `accumulate`: in parts, whose gradients add up. drawn: of
    `draw_paths`, if they were drawn before.
    """
    optimizer.zero_grad()
    drawn = draw_paths(network, batch, config) if drawn is None else drawn
    losses, logits = [], []
    parts = batch.parts(config.accumulate)
    of_parts = [None] * len(parts) if drawn is None else drawn.tensor_split(len(parts), 1)
    for (part, share), numbers in zip(parts, of_parts, strict=True):
        loss, answers = evaluation_loss(network, part, config, numbers)
        (share * loss).backward()  # type: ignore[no-untyped-call]
        losses.append(share * loss.detach())
        logits.append(answers.detach())
    weights = list(network.parameters())
    group.average_gradients(weights)
    torch.nn.utils.clip_grad_norm_(weights, config.grad_clip, foreach=True)
    optimizer.step()
    return sum_of(losses), torch.cat(logits)


def draw_paths(network: RetrainedNetwork, batch: Batch, config: EvaluationConfig) -> Tensor | None:
    """Draw the numbers (paths, N) by which a step on this batch drops paths, part by part; None where it drops none."""
    drawn = [network.draw_paths(len(part.labels)) for part, _ in batch.parts(config.accumulate)]
    numbers = [of_part for of_part in drawn if of_part is not None]
    return torch.cat(numbers, 1) if numbers else None


def evaluation_loss(
    network: RetrainedNetwork, batch: Batch, config: EvaluationConfig, drawn: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The minimised loss, with its graph, and the logits of the main head."""
    smoothing = config.label_smoothing
    logits, auxiliary = network.with_auxiliary(batch.images, drawn)
    loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    if auxiliary is not None:
        aside = F.cross_entropy(auxiliary, batch.labels, label_smoothing=smoothing)
        loss = loss + config.auxiliary_weight * aside
    return loss, logits
