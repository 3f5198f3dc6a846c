"""Fits the weights of a mixture on data that no member was trained on."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_MOST_STEPS: Final = 20_000
_NEAR_ENOUGH: Final = 1e-10  # nats


def fitted_weights(log_probabilities: Tensor) -> Tensor:
    """Maximum-likelihood mixture weights, float64 (members,), non-negative and summing to 1.

    log_probabilities: (members, N), float64, of the true classes or words, in nats. Expectation maximisation from equal
    weights, as for mixtures of language models (Jelinek and Mercer, 1980): the loss decreases monotonically to its
    single minimum, and the largest gain bounds the remaining improvement (Cover, 1984, equation 12). Deterministic.
    """
    members, count = log_probabilities.shape
    # Only ratios count: scaling the likeliest member's probability to 1 prevents underflow of a whole column.
    likelihood = (log_probabilities - log_probabilities.max(dim=0).values).exp()
    weights = torch.full((members,), 1 / members, dtype=torch.float64)
    for _ in range(_MOST_STEPS):
        gains = likelihood @ (1 / (weights @ likelihood)) / count
        if gains.max().log().item() < _NEAR_ENOUGH:
            break
        weights = weights * gains
        weights = weights / weights.sum()
    return weights
