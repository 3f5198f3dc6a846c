"""Raises a search's weight decay when the dominant eigenvalue grows: DARTS-ADA of R-DARTS (arXiv:1909.09656).

The authors' code goes back to the epoch that DARTS-ES would return, with the weights, the alphas and both optimisers of
that epoch, and trains on with a larger weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from darts_core.configs import SearchConfig
from darts_core.files.checkpoints import on_cpu
from darts_core.training.early_stopping import AUTHORS, WINDOW, GrowthRule

State = dict[str, Any]
"""Weights, alphas and the state of both optimisers."""


class AdaptiveDecay:
    """The eigenvalues of a search, and the states that it can go back to.

    The search goes back to the epoch of the rule, at most to the one that it went back to before: earlier states are
    not kept.
    """

    def __init__(self, rule: GrowthRule, *, every: int, factor: float, most: float) -> None:
        """every: epochs between two measurements. factor, most: of the weight decay."""
        self._rule, self._every, self._factor, self._most = rule, every, factor, most
        self._eigenvalues: dict[int, float] = {}
        self._states: dict[int, State] = {}

    @classmethod
    def of(cls, config: SearchConfig) -> AdaptiveDecay | None:
        """That of a resolved spec; None of other methods than `r-darts-ada`."""
        factor, most = config.weight_decay_factor, config.weight_decay_max
        rule = growth_rule(config)
        if factor is None or most is None or rule is None or config.hessian_every is None:
            return None
        return cls(rule, every=config.hessian_every, factor=factor, most=most)

    def measured(
        self, epoch: int, eigenvalue: float, weight_decay: float, state: Callable[[], State]
    ) -> tuple[float | None, int | None]:
        """Record an epoch's eigenvalue. Returns the growth, and the epoch to go back to; None to go on.

        state: gives the epoch's state, which is kept as long as the search can go back to it.
        """
        self._eigenvalues[epoch] = eigenvalue
        growth = AUTHORS.growth(list(self._eigenvalues.values()))
        if self._is_most(weight_decay):
            self._states = {}
            return growth, None
        wanted = self._rule.target(self._eigenvalues)
        target = None if wanted is None else max(wanted, min(self._states, default=wanted))
        if target is None:
            self._keep(epoch, state)
        return growth, target

    def go_back(self, epoch: int) -> State:
        """Forget all behind this epoch; returns a copy of its state."""
        self._eigenvalues = {e: value for e, value in self._eigenvalues.items() if e <= epoch}
        self._states = {e: state for e, state in self._states.items() if e <= epoch}
        copy: State = on_cpu(self._states[epoch])
        return copy

    def raised(self, weight_decay: float) -> float:
        """The weight decay after going back."""
        more = weight_decay * self._factor
        return self._most if self._is_most(more) else more

    def _is_most(self, weight_decay: float) -> bool:
        # Products of the factor round.
        return weight_decay >= self._most or math.isclose(weight_decay, self._most, rel_tol=1e-9)

    def _keep(self, epoch: int, state: Callable[[], State]) -> None:
        distance = AUTHORS.distance + WINDOW // 2
        if epoch >= self._rule.first and epoch + distance * self._every < self._rule.last:
            self._states[epoch] = on_cpu(state())
        # The oldest that the next measurement can go back to, besides the one that the search began again from.
        for old in list(self._states)[:-distance]:
            del self._states[old]

    def state(self) -> dict[str, Any]:
        """For a checkpoint. The kept states are shared with it: they never change."""
        return {"eigenvalues": dict(self._eigenvalues), "states": dict(self._states)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._eigenvalues, self._states = dict(state["eigenvalues"]), dict(state["states"])


def growth_rule(config: Any) -> GrowthRule | None:
    """The rule of a resolved spec's `growth_limit`; None of other methods."""
    if config.growth_limit is None or config.rollback_from is None:
        return None
    return GrowthRule(config.growth_limit, config.rollback_from, config.epochs)
