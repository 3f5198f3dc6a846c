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


def growth(eigenvalues: Sequence[float]) -> float | None:
    """How many times larger the last `WINDOW` measurements are in the mean than those before them.

    None while there are fewer than two windows, or nothing to grow from. RobustDARTS (arXiv:1909.09656), section 4.3:
    1 / (mean(i - k) / mean(i)), each mean being that of the k measurements around it.
    """
    before, now = eigenvalues[-2 * WINDOW : -WINDOW], eigenvalues[-WINDOW:]
    if len(before) < WINDOW or sum(before) <= 0:
        return None
    return sum(now) / sum(before)


def before_growth(measured: Sequence[T]) -> T:
    """Of at least two windows of measurements, the one that the earlier window is around: i - k."""
    return measured[-2 * WINDOW + WINDOW // 2]


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
