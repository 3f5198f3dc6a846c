"""beta-DARTS (arXiv:2203.01665): a penalty on the alphas whose weight grows over the epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.methods.method import SearchMethod, Tables


class BetaDarts(SearchMethod):
    """DARTS with lambda times the mean over edges of logsumexp(alphas), of each kind of cell.

    lambda grows linearly with the epochs that have passed, from 0 towards `beta_regularisation`. The authors' code
    takes a single table; of two, the means are added.
    """

    def alpha_penalty(self, alphas: Tables) -> Tensor | None:
        """lambda times the sum over kinds of the mean over edges of logsumexp(alpha)."""
        strength = (self.config.beta_regularisation or 0.0) * (self.epoch - 1) / self.config.epochs
        if strength == 0:
            return None
        return self.penalty(alphas, strength)

    def penalty(self, alphas: Tables, strength: float) -> Tensor:
        """The penalty at this lambda."""
        total = torch.stack([torch.logsumexp(alpha, dim=-1).mean() for alpha in self.present(alphas).values()]).sum()
        return self.scalar("lambda", strength, total) * total
