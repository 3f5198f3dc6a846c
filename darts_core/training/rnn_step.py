"""Trains a language model by one step: loss, gradient, clipping, SGD, without waiting for the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from darts_core.bilevel.recurrent import Penalties, penalised
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import LanguageModel


class TextPart(NamedTuple):
    """Some columns of a window. tokens, targets: (T, B). hidden: (B, size), of the last window. masks: of this pass."""

    tokens: Tensor
    targets: Tensor
    hidden: Tensor
    masks: Masks


class PartResult(NamedTuple):
    """loss: mean in nats, without penalties. hidden: (B, size), for the next window. Both detached."""

    loss: Tensor
    hidden: Tensor


def rnn_step(
    network: LanguageModel,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[TextPart],
    *,
    grad_clip: float,
    penalties: Penalties,
) -> list[PartResult]:
    """Move the weights once, by the mean gradient of equally large parts of a window."""
    optimizer.zero_grad()
    results = []
    for tokens, targets, hidden, masks in parts:
        passed = network(tokens, hidden, masks)
        loss = passed.cross_entropy(targets)
        (1 / len(parts) * penalised(loss, passed, penalties)).backward()  # type: ignore[no-untyped-call]
        results.append(PartResult(loss.detach(), passed.hidden.detach()))
    torch.nn.utils.clip_grad_norm_(network.parameters(), grad_clip)
    optimizer.step()
    return results
