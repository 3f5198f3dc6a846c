"""Runs a study's searches by asynchronous successive halving (darts_core/successive_halving.py).

Each search is a trial of the study's whole number of epochs. It pauses after each rung's epoch, and goes on from there
if the rule promotes it. The number of trials is fixed: once none is at work and the rule promotes none, the best of the
highest rung goes on, so that one reaches the last epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any
from uuid import UUID

from api.composite.outcome import Outcome
from api.composite.stages import SEARCH, SHORT, stage_of
from api.composite.steps import Child, Children, NewChild, Step
from api.schemas.jobs import JobKind, Status
from darts_core.families import family_in
from darts_core.successive_halving import best, next_promotion, rungs


@dataclass(frozen=True)
class _Trial:
    """One search of the study. values: by rung, higher is better."""

    point: int
    seed: int
    stage: str
    child: Child | None
    values: tuple[float, ...]

    @property
    def waits(self) -> bool:
        """Whether it is paused after its rung's epoch; a user may have paused it before."""
        return self.child is not None and self.child.status == Status.PAUSED and self._at_rung(self.child)

    @property
    def is_active(self) -> bool:
        return self.child is not None and not self.child.status.ended and not self.waits

    @property
    def failure(self) -> str | None:
        return None if self.child is None else self.child.failure

    @staticmethod
    def _at_rung(child: Child) -> bool:
        return child.pause_after is not None and child.pause_after in child.history


def _by_rung(trials: list[_Trial]) -> Iterator[list[float]]:
    """The trials' values at each rung that one has reached."""
    for rung in range(max((len(trial.values) for trial in trials), default=0)):
        yield [trial.values[rung] for trial in trials if len(trial.values) > rung]


class Halving:
    """The searches of a study with the strategy `asha`."""

    def __init__(self, spec: Mapping[str, Any], children: Children) -> None:
        self._spec, self._children = spec, children
        asha = spec["strategy"]["asha"]
        self._eta: int = asha["eta"]
        self.rungs = rungs(asha["min_epochs"], asha["max_epochs"], self._eta)
        self._objective = family_in(spec).selection
        self._trials = [self._trial(point, seed) for point in range(len(spec["points"])) for seed in spec["seeds"]]

    def _trial(self, point: int, seed: int) -> _Trial:
        stage = stage_of(self._spec, point, SEARCH, "seed", seed)
        child = self._children.get(stage)
        reached = () if child is None else (child.history.get(epoch) for epoch in self.rungs)
        values = tuple(self._value(metrics) for metrics in reached if metrics is not None)
        return _Trial(point, seed, stage, child, values)

    def _value(self, metrics: Mapping[str, float]) -> float:
        value = metrics.get(self._objective.metric, math.nan)
        if math.isnan(value):
            return -math.inf
        return value if self._objective.direction == "max" else -value

    @cached_property
    def step(self) -> Step | None:
        """The next step; None once the searches are over: the first retraining ends their race."""
        if any(child.stage.split("/")[-2] == SHORT for child in self._children.values()):
            return None
        missing = [trial for trial in self._trials if trial.child is None]
        promoted = self._promoted() or ({} if missing or self._is_open else self._last_resort())
        if not missing and not promoted and not self._is_open:
            return None
        return Step(create=tuple(self._new(trial) for trial in missing), promote=promoted)

    @property
    def _is_open(self) -> bool:
        """Whether trials are at work or still to be drawn."""
        sample = self._spec.get("sample")
        undrawn = sample is not None and len(self._spec["points"]) < sample["trials"]
        return undrawn or any(trial.is_active for trial in self._trials)

    def _new(self, trial: _Trial) -> NewChild:
        spec = {**self._spec["points"][trial.point]["search"], "seed": trial.seed}
        return NewChild(JobKind.SEARCH, trial.stage, spec, pause_after=self._pause(0))

    def _pause(self, rung: int) -> int | None:
        """The epoch after which a trial on this rung pauses: None on the last one, which ends the search."""
        return None if rung == len(self.rungs) - 1 else self.rungs[rung]

    def _promoted(self) -> dict[UUID, int | None]:
        """All promotions that the rule makes now. A trial that failed or was cancelled is on no rung."""
        here = {trial.stage: trial for trial in self._trials if trial.failure is None}
        values = [
            {stage: trial.values[rung] for stage, trial in here.items() if len(trial.values) > rung}
            for rung in range(len(self.rungs))
        ]
        above = [
            {stage for stage in lower if stage in higher or not here[stage].waits} for lower, higher in pairwise(values)
        ]
        found: dict[UUID, int | None] = {}
        while (promotion := next_promotion(values, above, self._eta)) is not None:
            stage, rung = promotion
            above[rung].add(stage)
            child = here[stage].child
            assert child is not None
            found[child.id] = self._pause(rung + 1)
        return found

    def _last_resort(self) -> dict[UUID, int | None]:
        """The best trial of the highest rung, unless one has reached the last epoch."""
        waiting = {trial.stage: trial for trial in self._trials if trial.waits}
        if self.finished or not waiting:
            return {}
        top = max(len(trial.values) for trial in waiting.values())
        [stage] = best({s: trial.values[-1] for s, trial in waiting.items() if len(trial.values) == top}, 1)
        child = waiting[stage].child
        assert child is not None
        return {child.id: self._pause(top)}

    def outcomes(self) -> list[Outcome]:
        """Of each point the best values of its trials, and whether none is at work or about to be."""
        going_on = {} if self.step is None else self.step.promote
        found = []
        for point in range(len(self._spec["points"])):
            mine = [trial for trial in self._trials if trial.point == point]
            values = dict(zip(self.rungs, map(max, _by_rung(mine)), strict=False))
            done = self.rungs[-1] in values or any(trial in self.finished for trial in mine)
            busy = any(t.child is None or t.is_active or t.child.id in going_on for t in mine)
            last = values[max(values)] if values and done else None
            found.append(Outcome(last, by_epoch=values, ended=not busy))
        return found

    @cached_property
    def finished(self) -> list[_Trial]:
        """The trials that have reached the last epoch, or stopped early by their spec."""
        return [trial for trial in self._trials if trial.child is not None and trial.child.succeeded]

    @property
    def stopped(self) -> tuple[UUID, ...]:
        """The trials that wait and will not go on."""
        return tuple(trial.child.id for trial in self._trials if trial.waits and trial.child is not None)

    @property
    def failure(self) -> str | None:
        """Why no trial has reached the last epoch; None if one has."""
        if self.finished:
            return None
        return f"no search has reached its last epoch ({'; '.join(filter(None, (t.failure for t in self._trials)))})"

    def narrowed(self) -> dict[str, Any]:
        """The study's spec, each point with the seeds of its finished trials alone."""
        seeds = [[t.seed for t in self.finished if t.point == point] for point in range(len(self._spec["points"]))]
        points = [{**point, "seeds": mine} for point, mine in zip(self._spec["points"], seeds, strict=True)]
        return {**self._spec, "points": points, "enough": 1}

    def report(self) -> dict[str, Any]:
        """The part of the result: the rungs, and of each trial its epochs and its metric at every rung."""
        rows = []
        for trial in self._trials:
            history = {} if trial.child is None else trial.child.history
            metric = {str(rung): history[rung].get(self._objective.metric) for rung in self.rungs if rung in history}
            search = trial.child and trial.child.link
            rows.append(
                {"point": trial.point, "seed": trial.seed, "search": search, "epochs": len(history)}
                | {"values": metric}
            )
        return {
            "eta": self._eta,
            "rungs": self.rungs,
            "metric": self._objective.metric,
            "trials": rows,
            "epochs": sum(row["epochs"] for row in rows),
            "epochs_of_all": len(rows) * self.rungs[-1],
        }
