"""Keeps the history of a search's epochs, to stop it early and to roll its alphas back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts_core.files.checkpoints import on_cpu
from darts_core.training.early_stopping import PAPERS, WATCHED, WINDOW, GrowthRule, Windows, stop_reason, warnings

Alphas = dict[str, Tensor]


@dataclass(frozen=True)
class Rollback:
    """The alphas that a search returns, and the epoch that they are of."""

    epoch: int
    alphas: Alphas


class EarlyStopping:
    """The history of a search's watched metrics. A run that resumes with it stops where an undisturbed one does."""

    def __init__(
        self,
        conditions: Mapping[Any, str] | None,
        first: int = 1,
        *,
        windows: Windows | None = PAPERS,
        rule: GrowthRule | None = None,
    ) -> None:
        """conditions: of which none ends the search before the epoch `first`. windows: of `eigenvalue_growth`; None
        where the run measures it itself. rule: ends the search besides.
        """
        self._conditions: Mapping[str, str] = conditions or {}
        self._first = first
        self._windows, self._rule = windows, rule
        self._history: list[dict[str, float]] = []
        # Of the last measured epochs, where one of them may be gone back to.
        self._alphas: dict[int, Alphas] = {}
        self.stopped: str | None = None
        self.back: Rollback | None = None

    def update(self, metrics: dict[str, float], alphas: Alphas) -> list[str]:
        """Record an epoch; returns its warnings. Adds `eigenvalue_growth` to the metrics once there is one.

        When it was the last one, sets `stopped` to the reason, and `back` where its alphas are not to be kept.
        """
        measured = self._measured(metrics)
        if "hessian_eigenvalue" in metrics and self._windows is not None:
            grown = self._windows.growth(list(measured.values()))
            metrics |= {} if grown is None else {"eigenvalue_growth": grown}
        watched = WATCHED.values()
        self._history.append({name: value for name, value in metrics.items() if name in watched})
        self._remember(metrics, alphas)
        if len(self._history) >= self._first:
            self.stopped = stop_reason(self._conditions, self._history[-1])
        if self.stopped and self._grew(metrics):
            self._go_back(PAPERS.before(list(self._alphas)))
        elif self._rule and "hessian_eigenvalue" in metrics and (epoch := self._rule.target(measured)) is not None:
            self.stopped = f"eigenvalue_growth is {metrics['eigenvalue_growth']:g} (>{self._rule.limit:g})"
            self._go_back(epoch)
        return [] if self.stopped else warnings(self._conditions, self._history)

    def forget(self, epoch: int) -> None:
        """Leave the eigenvalues behind this epoch out of later windows: the search has gone back to it."""
        for metrics in self._history[epoch:]:
            metrics.pop("hessian_eigenvalue", None)

    def _measured(self, metrics: Mapping[str, float]) -> dict[int, float]:
        """The eigenvalues by epoch, including those of the present metrics."""
        name = "hessian_eigenvalue"
        return {e: found[name] for e, found in enumerate([*self._history, metrics], 1) if name in found}

    def _go_back(self, epoch: int) -> None:
        self.back = Rollback(epoch, self._alphas[epoch])
        self.stopped = f"{self.stopped}; the cell is that of epoch {epoch}, before it grew"

    def _remember(self, metrics: Mapping[str, float], alphas: Alphas) -> None:
        if (self._rule or "eigenvalue_growth" in self._conditions) and "hessian_eigenvalue" in metrics:
            self._alphas[len(self._history)] = on_cpu(alphas)
            for epoch in list(self._alphas)[: -2 * WINDOW]:
                del self._alphas[epoch]

    def _grew(self, metrics: Mapping[str, float]) -> bool:
        name = "eigenvalue_growth"
        return name in self._conditions and stop_reason({name: self._conditions[name]}, metrics) is not None

    def state(self, present: Alphas) -> dict[str, Any]:
        """For a checkpoint that holds the present alphas: equal ones are the same tensors, which a file holds once."""

        def once(kind: str, table: Tensor) -> Tensor:
            return present[kind] if torch.equal(table, present[kind]) else table.clone()

        alphas = {epoch: {k: once(k, table) for k, table in kept.items()} for epoch, kept in self._alphas.items()}
        return {"history": [dict(epoch) for epoch in self._history], "alphas": alphas, "stopped": self.stopped}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Go on from what was put away with `state`; None in files from before there was anything to watch."""
        if state is not None:
            self._history, self.stopped = [dict(epoch) for epoch in state["history"]], state["stopped"]
            self._alphas = dict(state["alphas"])
