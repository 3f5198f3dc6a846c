"""Weights of a mixture, fitted on data that no member was trained on."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_MOST_STEPS: Final = 20_000
_NEAR_ENOUGH: Final = 1e-10  # nats


def fitted_weights(log_probabilities: Tensor) -> Tensor:
    """The shares, float64 (members,), at least 0 and adding up to 1, of the mixture that makes the truth likeliest.

    log_probabilities: (members, N), float64: what each member gave to what was true, in nats. Expectation maximisation
    from equal shares, as for mixtures of language models (Jelinek and Mercer, 1980): the loss falls with every step
    towards its one minimum, and the largest gain is a bound on what is left to win (Cover, 1984, equation 12). Nothing
    is random.
    """
    members, count = log_probabilities.shape
    # Only ratios count: the likeliest member's probability becomes 1, so that no place can vanish as a whole.
    likelihood = (log_probabilities - log_probabilities.max(dim=0).values).exp()
    weights = torch.full((members,), 1 / members, dtype=torch.float64)
    for _ in range(_MOST_STEPS):
        gains = likelihood @ (1 / (weights @ likelihood)) / count
        if gains.max().log().item() < _NEAR_ENOUGH:
            break
        weights = weights * gains
        weights = weights / weights.sum()
    return weights
