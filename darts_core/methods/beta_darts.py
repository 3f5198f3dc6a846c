"""beta-DARTS (arXiv:2203.01665): a penalty on the alphas whose weight grows over the epochs."""

from __future__ import annotations

from torch import Tensor

from darts_core.methods.method import SearchMethod, Tables


class BetaDarts(SearchMethod):
    """DARTS with lambda times the mean over edges of logsumexp(alphas), of each kind of cell.

    lambda grows linearly with the epochs that have passed, from 0 towards `beta_regularisation`. The authors' code
    takes a single table; of two, the means are added.
    """

    def alpha_penalty(self, alphas: Tables) -> Tensor | None:
        """lambda times the sum over kinds of the mean over edges of logsumexp(alpha)."""
        return self.beta_penalty(alphas, self._strength)

    @property
    def schedule(self) -> tuple[float, ...]:
        """With lambda."""
        return (*super().schedule, self._strength)

    @property
    def _strength(self) -> float:
        return self.beta_strength(self.config.beta_regularisation or 0.0)
