"""Draws the values of a study's points by Optuna's samplers, through its ask-and-tell interface.

Every draw begins with the points so far and a seed of its own, so the same points lead to the same values in every
process: nothing is kept between two draws. Optuna is an optional extra and imported here alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from api.composite.outcome import Outcome
from api.schemas.studies import Distribution, Sample

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def is_installed() -> bool:
    return find_spec("optuna") is not None


def draw(sample: Sample, points: Sequence[tuple[dict[str, Any], Outcome]], refused: int = 0) -> dict[str, Any]:
    """The values of the next point, after these values and outcomes. refused: how often it has been drawn before."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    digest = hashlib.sha256(f"{sample.seed} {len(points)} {refused}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    with warnings.catch_warnings():
        # Points at work count as bad ones, so that others at the same time lie elsewhere.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = (
            optuna.samplers.RandomSampler(seed)
            if sample.sampler == "random"
            else optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {name: _distribution(of) for name, of in sample.over.items()}
    study.add_trials([_trial(sample, space, values, outcome) for values, outcome in points])
    asked = study.ask(space).params
    return {name: of.choice[asked[name]] if of.choice else asked[name] for name, of in sample.over.items()}


def _trial(sample: Sample, space: dict[str, BaseDistribution], values: dict[str, Any], outcome: Outcome) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    if outcome.is_awaited:
        state = TrialState.RUNNING
    elif outcome.value is not None and math.isfinite(outcome.value):
        state = TrialState.COMPLETE
    else:
        state = TrialState.PRUNED if outcome.by_epoch else TrialState.FAIL
    return create_trial(
        state=state,
        value=outcome.value if state is TrialState.COMPLETE else None,
        params={name: _parameter(of, values[name]) for name, of in sample.over.items()},
        distributions=space,
        intermediate_values={epoch: value for epoch, value in outcome.by_epoch.items() if math.isfinite(value)},
    )


def _distribution(of: Distribution) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if of.choice:
        # Optuna compares choices with ==, of which true and 1 are two.
        return CategoricalDistribution(range(len(of.choice)))
    if of.integer:
        least, largest, *step = of.integer
        return IntDistribution(least, largest, step=step[0] if step else 1)
    if of.log_uniform:
        return FloatDistribution(*of.log_uniform, log=True)
    assert of.uniform is not None
    return FloatDistribution(*of.uniform)


def _parameter(of: Distribution, value: Any) -> Any:
    if not of.choice:
        return value
    text = json.dumps(value, sort_keys=True)
    return next(at for at, choice in enumerate(of.choice) if json.dumps(choice, sort_keys=True) == text)
