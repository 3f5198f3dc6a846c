"""Decides from the metrics of its epochs whether a search stops early, and warns before it does.

Imports no torch.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")
Metrics = Mapping[str, float]
"""The metrics of one epoch, by name."""

Conditions = Mapping[str, str]
"""`stop_when` of a spec: by a name of `WATCHED`, a comparison such as ">2"."""

# What a condition may be about, and the metric that it is.
WATCHED: Final = {
    "skip_connects": "skip_connects",
    "parameter_free": "parameter_free",
    "identities": "identities",
    "alpha_entropy": "alpha_entropy",
    "eigenvalue": "hessian_eigenvalue",
    "eigenvalue_growth": "eigenvalue_growth",
}
OF_EIGENVALUES: Final = frozenset({"eigenvalue", "eigenvalue_growth"})
# Measurements that the eigenvalue is smoothed over: k of RobustDARTS (arXiv:1909.09656), section 4.3.
WINDOW: Final = 5
# It stops where the mean before is less than 0.75 of the mean now.
_USUAL_GROWTH: Final = 4 / 3
# Of these one more is the smallest step towards the end.
_COUNTS: Final = frozenset({"skip_connects", "parameter_free", "identities"})
# More than two skip-connections in the normal cell are where DARTS+ (arXiv:1909.06035) sees a search collapse.
_USUAL: Final = {"skip_connects": ">2"}

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION: Final = re.compile(r"\s*(>=|<=|>|<)\s*(-?\d{1,12}(?:\.\d{1,12})?)\s*")


@dataclass(frozen=True)
class Condition:
    """A comparison with a number."""

    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """From text such as ">2" or "<= 0.5". Raises ValueError that says what is allowed."""
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise ValueError(f"expected one of > >= < <= and a number, as in '>2', got {text[:60]!r}")
        return cls(found[1], float(found[2]))

    def holds(self, value: float) -> bool:
        """Whether the value satisfies the condition."""
        return _OPERATORS[self.sign](value, self.bound)


@dataclass(frozen=True)
class Windows:
    """Two windows of the last eigenvalues, of up to `WINDOW` measurements each, whose means are compared.

    distance: how many measurements the earlier one ends before the later one. fewest: measurements in the earlier one.
    """

    distance: int
    fewest: int

    def growth(self, eigenvalues: Sequence[float]) -> float | None:
        """How many times larger the later window's mean is than the earlier one's.

        None while there are too few measurements, or nothing to grow from.
        """
        before, now = eigenvalues[: -self.distance][-WINDOW:], eigenvalues[-WINDOW:]
        if len(before) < self.fewest or sum(before) <= 0:
            return None
        return sum(now) / sum(before) * (len(before) / len(now))

    def before(self, measured: Sequence[T]) -> T:
        """Of measurements that have a growth, the middle of the earlier window."""
        return measured[-self.distance - WINDOW // 2 - 1]


# The paper's (RobustDARTS, arXiv:1909.09656), section 4.3: 1 / (mean(i - k) / mean(i)), each of the k around it.
PAPERS: Final = Windows(WINDOW, WINDOW)
# Of its authors' code, where the first windows are smaller.
AUTHORS: Final = Windows(4, 3)


@dataclass(frozen=True)
class GrowthRule:
    """The rule of R-DARTS' authors' code: go back when the eigenvalue has grown by more than `limit`.

    first: the first epoch to go back to. last: the run's last epoch, behind which a search has ended anyway.
    """

    limit: float
    first: int
    last: int

    def soonest(self, every: int) -> int:
        """The first epoch that may go back, if the eigenvalue is measured every so many epochs."""
        first = -(-self.first // every) * every
        return first + every * (AUTHORS.distance + WINDOW // 2)

    def target(self, eigenvalues: Mapping[int, float]) -> int | None:
        """The epoch to go back to after the last of these measurements, by epoch; None to go on."""
        grown = AUTHORS.growth(list(eigenvalues.values()))
        if grown is None or grown <= self.limit:
            return None
        epochs = list(eigenvalues)
        target = AUTHORS.before(epochs)
        return target if target >= self.first and epochs[-1] < self.last else None


def stop_reason(conditions: Conditions, metrics: Metrics) -> str | None:
    """Why a search stops after an epoch that reported these metrics; None when it goes on."""
    reasons = [
        f"{name} is {metrics[WATCHED[name]]:g} ({Condition.parse(text).sign}{Condition.parse(text).bound:g})"
        for name, text in conditions.items()
        if WATCHED[name] in metrics and Condition.parse(text).holds(metrics[WATCHED[name]])
    ]
    return ", ".join(reasons) or None


def warnings(conditions: Conditions, history: Sequence[Metrics]) -> list[str]:
    """What the last epoch of a history has to warn of and the one before it had not: once an episode.

    A count that one more would stop the search by; without a condition on them, skip-connections past the usual limit.
    An eigenvalue that has grown half as far as it may.
    """
    now = _looming(conditions, history[-1]) if history else {}
    before = _looming(conditions, history[-2]) if len(history) > 1 else {}
    return [text for name, text in now.items() if name not in before]


def _looming(conditions: Conditions, metrics: Metrics) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in sorted(_COUNTS & metrics.keys()):
        value, kind = metrics[name], name.replace("_", " ")
        if name in conditions:
            condition = Condition.parse(conditions[name])
            if condition.holds(value + 1):
                limit = f"{condition.sign}{condition.bound:g}"
                found[name] = f"collapse looms: {value:g} {kind} in the cell, the search stops at {limit}"
        elif name in _USUAL and Condition.parse(_USUAL[name]).holds(value):
            found[name] = (
                f"collapse looms: {value:g} {kind} in the normal cell, more than 2; stop_when ends a search there"
            )
    grown = metrics.get("eigenvalue_growth")
    if grown is not None and grown > (1 + _growth_limit(conditions)) / 2:
        found["eigenvalue_growth"] = f"collapse looms: the Hessian's eigenvalue is {grown:.3g} times what it was before"
    return found


def _growth_limit(conditions: Conditions) -> float:
    """How much the eigenvalue may grow."""
    if "eigenvalue_growth" not in conditions:
        return _USUAL_GROWTH
    return Condition.parse(conditions["eigenvalue_growth"]).bound
