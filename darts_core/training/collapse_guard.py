"""Decides what a search does against its collapse. Imports no torch.

The first time that signs of a collapse last, the search goes back to its last good epoch and adds beta-DARTS' penalty
(arXiv:2203.01665) to the alphas' loss. The second time it stops with the cell of the last good epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from darts_core.training.adaptive_decay import State


@dataclass(frozen=True)
class Sign:
    """A metric of an epoch and its limits: up to `good` the epoch is good, above `most` the search collapses.

    during: the epochs that are judged by it.
    """

    metric: str
    good: float
    most: float
    during: Literal["all", "first half", "second half"] = "all"

    def applies(self, metrics: Mapping[str, float], epoch: int, epochs: int) -> bool:
        """Whether an epoch with these metrics is judged by it."""
        if self.metric not in metrics or (self.metric in _OF_DECISIONS and metrics["decision_margin"] < DECIDED):
            return False
        return self.during == "all" or (self.during == "first half") == (2 * epoch <= epochs)


SIGNS: Final = (
    # A quarter is two of eight edges: with more skip-connections DARTS+ (arXiv:1909.06035) sees a search collapse.
    # Above a half, most edges compute nothing.
    Sign("idle_share", 1 / 4, 1 / 2),
    # Early weights are hardly better than noise; weights that half of the search has trained are, on every edge.
    Sign("noise_edges", 0, 0, "second half"),
    # At three quarters the strongest of 2 to 8 operations has nine tenths of an edge or more, and p (1 - p), the slope
    # of the softmax, falls below a tenth: the other half of the search can hardly change a decision.
    Sign("certainty", 1 / 2, 3 / 4, "first half"),
    # RobustDARTS (arXiv:1909.09656), section 4.3, stops at 4/3; half as far, `early_stopping` warns.
    Sign("eigenvalue_growth", 7 / 6, 4 / 3),
)
# Of the random start, whose alphas differ by some 1e-3, margins are below 1e-3: such a cell tells nothing.
DECIDED: Final = 0.01
_OF_DECISIONS: Final = frozenset({"idle_share", "noise_edges"})
# Epochs in a row, or measurements, that a sign lasts before the search acts: in one epoch alphas may swing.
PATIENCE: Final = 2


class Action(NamedTuple):
    """What a search does after an epoch. back_to: the epoch whose state it takes, if any. text: with the reason."""

    back_to: int | None
    text: str


class CollapseGuard:
    """The guard of one search. A run that resumes with its state acts as an undisturbed one does."""

    def __init__(self, epochs_in: Callable[[int], int]) -> None:
        """epochs_in: the number of epochs by which schedules go, by epoch."""
        self._epochs_in = epochs_in
        self._lasting: dict[str, int] = {}
        self._kept: dict[str, Any] | None = None
        self.penalises = False
        """Whether the alphas' loss has the penalty."""
        self.stopped: str | None = None
        """Why the search has ended early."""

    def update(
        self, epoch: int, metrics: Mapping[str, float], *, collapsed: bool, state: Callable[[], State]
    ) -> Action | None:
        """Judge an epoch; returns what to do, None to go on.

        metrics: with those of `collapse_signs`, and `eigenvalue_growth` where it is measured. collapsed: whether the
        cell is, by `is_collapsed`. state: gives a copy of the epoch's state, kept until a later epoch is as good.
        """
        epochs = self._epochs_in(epoch)
        signs = [sign for sign in SIGNS if sign.applies(metrics, epoch, epochs)]
        beyond = {sign.metric: sign for sign in signs if metrics[sign.metric] > sign.most}
        for sign in signs:
            self._lasting[sign.metric] = self._lasting.get(sign.metric, 0) + 1 if sign.metric in beyond else 0
        if not beyond and not collapsed:
            good = metrics["decision_margin"] >= DECIDED and all(metrics[sign.metric] <= sign.good for sign in signs)
            self._keep(epoch, good, state)
        why = ", ".join(
            f"{name} is {metrics[name]:.3g} (>{sign.most:.3g})"
            for name, sign in beyond.items()
            if self._lasting[name] >= PATIENCE
        )
        back_to = None if self._kept is None else int(self._kept["epoch"])
        if epoch < epochs:
            return self._action(why, back_to) if why else None
        if collapsed and back_to is not None:
            return Action(back_to, f"guard: the last cell has collapsed; the cell is that of epoch {back_to}")
        return None

    def _action(self, why: str, back_to: int | None) -> Action | None:
        if not self.penalises:
            self.penalises, self._lasting = True, {}
            before = "no epoch before is better" if back_to is None else f"goes back to the end of epoch {back_to}"
            return Action(back_to, f"guard: {why}; {before}, and penalises large alphas from here on")
        if back_to is None:
            return None
        self.stopped = f"guard: {why} again; the cell is that of epoch {back_to}"
        return Action(back_to, self.stopped)

    def _keep(self, epoch: int, good: bool, state: Callable[[], State]) -> None:
        if self._kept is None or good or not self._kept["good"]:
            self._kept = {"epoch": epoch, "good": good, "state": state()}

    @property
    def kept(self) -> State:
        """The state of the epoch to go back to, which stays kept: not to be changed."""
        assert self._kept is not None
        kept: State = self._kept["state"]
        return kept

    def state(self) -> dict[str, Any]:
        """For a checkpoint. The kept state is shared with it."""
        return {
            "lasting": dict(self._lasting),
            "kept": self._kept,
            "penalises": self.penalises,
            "stopped": self.stopped,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._lasting, self._kept = dict(state["lasting"]), state["kept"]
        self.penalises, self.stopped = state["penalises"], state["stopped"]
