"""Implements the protocol of DARTS (arXiv:1806.09055), section 3.

Search with several seeds, retrain each cell briefly, choose the best on validation data, retrain it from scratch
several times and report on test data. With a grid, every point does this. With a strategy, only the searches that it
lets finish are retrained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import mean, stdev
from typing import Any
from uuid import UUID

from api.composite.halving import Halving
from api.composite.outcome import Outcome
from api.composite.stages import FINAL, SEARCH, SHORT, stage_of
from api.composite.steps import Child, Children, NewChild, Step, active_ids
from api.schemas.jobs import JobKind
from darts_core.families import NetworkFamily, family_in


def planned(spec: Mapping[str, Any]) -> int:
    """The number of children if none fails."""
    points = spec["sample"]["trials"] if spec.get("sample") else len(spec["points"])
    return int(points) * (2 * len(spec["seeds"]) + int(spec["final_runs"]))


def at_once(spec: Mapping[str, Any]) -> int:
    """The largest number of children queued at the same time."""
    points = spec["sample"]["at_once"] if spec.get("sample") else len(spec["points"])
    return int(points) * max(len(spec["seeds"]), int(spec["final_runs"]))


def next_step(spec: Mapping[str, Any], children: Children) -> Step:
    """Advance the searches by the strategy, if there is one, then all points."""
    if spec.get("strategy") is None:
        return _next_step(spec, children)
    halving = Halving(spec, children)
    if halving.step is not None:
        return halving.step
    if halving.failure is not None:
        return Step(cancel=halving.stopped, failure=halving.failure)
    step = _next_step(halving.narrowed(), children)
    result = step.result and {**step.result, "asha": halving.report()}
    return replace(step, cancel=(*step.cancel, *halving.stopped), result=result)


def _next_step(spec: Mapping[str, Any], children: Children) -> Step:
    """Advance every point of the grid independently; the study fails if all points fail."""
    points = [_Point(spec, number, children) for number in range(len(spec["points"]))]
    moves = [point.move() for point in points]
    create = tuple(new for move in moves for new in move.create)
    cancel = tuple(useless for move in moves for useless in move.cancel)
    if not all(move.ended for move in moves):
        return Step(create, cancel)
    if all(move.failure for move in moves):
        reasons = [f"{point.title}{move.failure}" for point, move in zip(points, moves, strict=True)]
        return Step(cancel=cancel, failure="; ".join(reasons))
    return _result(spec, points, moves, children, cancel)


def outcomes(spec: Mapping[str, Any], children: Children) -> list[Outcome]:
    """What a sampler is told of each point."""
    if spec.get("strategy") is not None:
        return Halving(spec, children).outcomes()
    return [_Point(spec, number, children).outcome() for number in range(len(spec["points"]))]


def worth_retrying(spec: Mapping[str, Any], children: Children) -> list[Child]:
    """The lost children that still affect the outcome: after a point's choice, only its final runs; after a strategy's
    race, none of the searches that it stopped.
    """
    if spec.get("strategy") is not None:
        halving = Halving(spec, children)
        if halving.step is not None or not halving.finished:
            return [child for child in children.values() if child.lost]
        spec = halving.narrowed()
    found: list[Child] = []
    for number in range(len(spec["points"])):
        point = _Point(spec, number, children)
        found += [child for child in (point.finals or point.children).values() if child.lost]
    return found


@dataclass(frozen=True)
class _Move:
    """A point's part of a step."""

    create: tuple[NewChild, ...] = ()
    cancel: tuple[UUID, ...] = ()
    ended: bool = False
    failure: str | None = None


@dataclass(frozen=True)
class _Candidate:
    """The outcome of one seed."""

    seed: int
    search: Child | None
    short: Child | None
    value: float | None
    failure: str | None


@dataclass(frozen=True)
class _Point:
    """One point of the grid, with its children."""

    spec: Mapping[str, Any]
    number: int
    of_study: Children = field(repr=False)

    @cached_property
    def part(self) -> Mapping[str, Any]:
        part: Mapping[str, Any] = self.spec["points"][self.number]
        return part

    @cached_property
    def family(self) -> NetworkFamily:
        return family_in(self.spec)

    @property
    def title(self) -> str:
        """The point's values, to prefix messages; empty without a grid."""
        values = ", ".join(f"{name} {value}" for name, value in self.part["values"].items())
        return f"{values}: " if values else ""

    def stage(self, name: str, what: str, number: int) -> str:
        return stage_of(self.spec, self.number, name, what, number)

    @property
    def seeds(self) -> list[int]:
        """Those of the candidates; a strategy leaves a point its own."""
        own: list[int] = self.part.get("seeds", self.spec["seeds"])
        return own

    @cached_property
    def children(self) -> dict[str, Child]:
        seeds = self.seeds
        stages = [self.stage(SEARCH, "seed", s) for s in seeds] + [self.stage(SHORT, "seed", s) for s in seeds]
        return {stage: self.of_study[stage] for stage in stages if stage in self.of_study} | self.finals

    @cached_property
    def finals(self) -> dict[str, Child]:
        stages = [self.stage(FINAL, "run", run) for run in range(self.spec["final_runs"])]
        return {stage: self.of_study[stage] for stage in stages if stage in self.of_study}

    @cached_property
    def candidates(self) -> list[_Candidate]:
        return [self._candidate(seed) for seed in self.seeds]

    def _candidate(self, seed: int) -> _Candidate:
        search = self.of_study.get(self.stage(SEARCH, "seed", seed))
        short = self.of_study.get(self.stage(SHORT, "seed", seed))
        value = short.best.get(self.family.selection.metric) if short is not None and short.succeeded else None
        failure = next((child.failure for child in (search, short) if child is not None and child.lost), None)
        if short is not None and short.succeeded and value is None:
            failure = f"{short.stage} reported no {self.family.selection.metric}"
        return _Candidate(seed, search, short, value, failure)

    @cached_property
    def chosen(self) -> _Candidate | None:
        """The best candidate on validation data, the first of equals; once final runs exist, the one that they
        train.
        """
        if self.finals:
            source = next(iter(self.finals.values())).source
            return next((c for c in self.candidates if c.search is not None and c.search.id == source), None)
        return self.ranked[0] if self.ranked else None

    @cached_property
    def ranked(self) -> list[_Candidate]:
        """The successful candidates, best first."""
        done = [c for c in self.candidates if c.value is not None and c.failure is None]
        return sorted(done, key=lambda c: c.value or 0.0, reverse=self.family.selection.direction == "max")

    @property
    def is_decided(self) -> bool:
        """Whether all candidates have come through or failed."""
        return bool(self.finals) or all(c.failure is not None or c.value is not None for c in self.candidates)

    def move(self) -> _Move:
        return self._retrain() if self.finals else self._choose()

    def _choose(self) -> _Move:
        """Search, retrain briefly, then queue the final runs of the best candidate."""
        if not self.candidates:
            return _Move(ended=True, failure="no search of it was promoted to the last epoch")
        failed, enough = [c for c in self.candidates if c.failure is not None], self.spec["enough"]
        if len(self.candidates) - len(failed) < enough:
            why = "; ".join(str(c.failure) for c in failed)
            count = f"{len(failed)} of {len(self.candidates)} candidates failed, and {enough} are needed"
            return _Move(cancel=active_ids(self.children), ended=True, failure=f"{count} ({why})")
        if self.is_decided:
            assert self.chosen is not None
            assert self.chosen.search is not None
            return _Move(create=tuple(self._final(run, self.chosen.search) for run in range(self.spec["final_runs"])))
        return _Move(create=tuple(new for c in self.candidates if (new := self._next(c)) is not None))

    def outcome(self) -> Outcome:
        """The chosen candidate's value, once it is chosen."""
        value = self.chosen.value if self.is_decided and self.chosen is not None else None
        if value is not None:
            return Outcome(value if self.family.selection.direction == "max" else -value)
        return Outcome(ended=self.move().failure is not None)

    def _next(self, candidate: _Candidate) -> NewChild | None:
        """The candidate's next job, or None while it waits."""
        search, seed = candidate.search, candidate.seed
        if search is None:
            spec = {**self.part["search"], "seed": seed}
            return NewChild(JobKind.SEARCH, self.stage(SEARCH, "seed", seed), spec)
        if candidate.short is not None or not search.succeeded:
            return None
        # All share one seed, so that the same images are held out and only the cells differ.
        spec = {**self.part["short_retrain"], "genotype": search.genotype}
        return NewChild(JobKind.EVALUATION, self.stage(SHORT, "seed", seed), spec, search.id)

    def _final(self, run: int, search: Child) -> NewChild:
        final = self.part["final"]
        spec = {**final, "seed": final["seed"] + run, "genotype": search.genotype}
        return NewChild(JobKind.EVALUATION, self.stage(FINAL, "run", run), spec, search.id)

    def _retrain(self) -> _Move:
        """Wait for the final runs."""
        lost, enough = [c for c in self.finals.values() if c.lost], self.spec["enough_final"]
        if self.spec["final_runs"] - len(lost) < enough:
            why = "; ".join(str(c.failure) for c in lost)
            count = f"{len(lost)} of {self.spec['final_runs']} final runs failed, and {enough} are needed"
            return _Move(cancel=active_ids(self.finals), ended=True, failure=f"{count} ({why})")
        return _Move(ended=all(child.status.ended for child in self.finals.values()))

    def report(self, failure: str | None) -> dict[str, Any]:
        """The point's part of the result: the candidates, the choice with its reason, and the final runs."""
        return {
            "values": dict(self.part["values"]),
            "dataset": self.part["final"]["dataset"],
            "failure": failure,
            "chosen_by": self.family.selection.metric,
            "candidates": [self._row(candidate) for candidate in self.candidates],
            "chosen": None if failure is not None else self._choice(),
            "final": self._runs(),
        }

    def _row(self, candidate: _Candidate) -> dict[str, Any]:
        search, short = candidate.search, candidate.short
        return {
            "seed": candidate.seed,
            "search": search and search.link,
            "short_retrain": short and short.link,
            self.family.selection.metric: candidate.value,
            "epoch": short.best.get("epoch") if short is not None and candidate.value is not None else None,
            "genotype": search.genotype if search is not None and search.succeeded else None,
            "failure": candidate.failure,
            "chosen": self.chosen is not None and candidate.seed == self.chosen.seed,
        }

    def _choice(self) -> dict[str, Any] | None:
        if self.chosen is None or self.chosen.search is None:
            return None
        selection, unit = self.family.selection, self.family.unit
        best = f"{'highest' if selection.direction == 'max' else 'lowest'} {selection.metric.replace('_', ' ')}"
        why = f"the {best} of {len(self.ranked)} candidates"
        if self.chosen.value is not None:
            why += f": {self.chosen.value:.2f}{unit}"
        if others := [c for c in self.ranked if c.seed != self.chosen.seed]:
            why += f", before {others[0].value:.2f}{unit} of seed {others[0].seed}"
        search = self.chosen.search
        return {"seed": self.chosen.seed, "search": search.link, "genotype": search.genotype, "why": why}

    def _runs(self) -> dict[str, Any]:
        metric, runs = self.family.reporting.metric, list(self.finals.values())
        values = [child.metrics[metric] for child in runs if child.succeeded and metric in child.metrics]
        return {
            "metric": metric,
            "runs": [
                {
                    "evaluation": child.link,
                    "seed": child.spec.get("seed"),
                    metric: child.metrics.get(metric) if child.succeeded else None,
                    "failure": child.failure,
                }
                for child in runs
            ],
            "n": len(values),
            "mean": mean(values) if values else None,
            "std": stdev(values) if len(values) > 1 else None,
        }

    @property
    def value(self) -> float:
        """The chosen candidate's value."""
        assert self.chosen is not None
        return self.chosen.value or 0.0


def _result(
    spec: Mapping[str, Any], points: list[_Point], moves: list[_Move], children: Children, cancel: tuple[UUID, ...]
) -> Step:
    reports = [point.report(move.failure) for point, move in zip(points, moves, strict=True)]
    seconds = round(sum(child.seconds for child in children.values()), 3)
    winners = [_winner(numbers, points, reports) for numbers in _by_dataset(points, moves)]
    result = {"points": reports, "winners": winners, "compute_seconds": seconds}
    metrics: dict[str, float] = {"compute_seconds": seconds}
    if len(winners) == 1:
        final = winners[0]["final"]
        for name in ("mean", "std"):
            if final[name] is not None:
                metrics[f"{final['metric']}_{name}"] = final[name]
    return Step(cancel=cancel, result=result, metrics=metrics)


def _by_dataset(points: list[_Point], moves: list[_Move]) -> list[list[int]]:
    """The successful points, grouped by data set, since only their figures are comparable."""
    found: dict[str, list[int]] = {}
    for point, move in zip(points, moves, strict=True):
        if move.failure is None:
            found.setdefault(point.part["short_retrain"]["dataset"], []).append(point.number)
    return list(found.values())


def _winner(numbers: list[int], points: list[_Point], reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The point whose chosen cell is best on validation data; test figures never decide."""
    choose = max if points[0].family.selection.direction == "max" else min
    best = choose(numbers, key=lambda n: points[n].value)
    report = reports[best]
    final = {name: report["final"][name] for name in ("metric", "mean", "std", "n")}
    taken = {name: report[name] for name in ("dataset", "values", "chosen")}
    return {"point": best, **taken, "final": final}
