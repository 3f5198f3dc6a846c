"""Combines the members' outputs, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from darts_core.configs.ensemble import Combine
from darts_core.errors import DataError


def combined(outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
    """The ensemble's logits, float64 (..., classes), from the members', any float dtype of that shape.

    `sum`: the weighted sum of logits. Otherwise the logarithm of the weighted mean of probabilities, whose softmax is
    that mean. Members of weight 0 are skipped. Accumulated in member order on every device.
    """
    pairs = [(output.double(), weight) for output, weight in zip(outputs, weights, strict=True) if weight > 0]
    if combine == "sum":
        return sum((weight * output for output, weight in pairs[1:]), pairs[0][1] * pairs[0][0])
    return mixed([(output.log_softmax(dim=-1), weight) for output, weight in pairs])


def mixed(pairs: Sequence[tuple[Tensor, float]]) -> Tensor:
    """log(sum of weight * exp(log-probability)) over pairs of log-probabilities, float64 of one shape, and a weight."""
    (total, first), *others = pairs
    total = total + torch.tensor(first, dtype=torch.float64).log().to(total.device)
    for log_probabilities, weight in others:
        share = torch.tensor(weight, dtype=torch.float64).log().to(total.device)
        # Stays in log space: the smallest probabilities underflow in float64.
        total = torch.logaddexp(total, log_probabilities + share)
    return total


def even_weights(members: int, chosen: Sequence[int], combine: Combine) -> list[float]:
    """One weight per member, 0 when not selected: 1 for summed logits, else equal shares of 1."""
    weight = 1.0 if combine == "sum" else 1 / len(chosen)
    return [weight if place in chosen else 0.0 for place in range(members)]


def check_finite(outputs: Sequence[Tensor]) -> None:
    """Raise DataError that names the first member with a non-finite output."""
    for place, output in enumerate(outputs):
        if not bool(torch.isfinite(output).all()):
            raise DataError(f"member {place} answers with numbers that are not finite: leave it out")
