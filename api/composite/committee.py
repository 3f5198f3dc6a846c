"""Implements the protocol of a committee: cells of several spaces, each trained from scratch, as one ensemble
(CoNAS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.composite.steps import Child, Children, NewChild, Step, active_ids
from api.schemas.jobs import JobKind

ENSEMBLE: Final = "ensemble"


def planned(spec: Mapping[str, Any]) -> int:
    """The number of children if none fails."""
    return 2 * at_once(spec) + 1


def at_once(spec: Mapping[str, Any]) -> int:
    """The largest number of children queued at the same time."""
    return len(spec["points"]) * len(spec["seeds"])


def next_step(spec: Mapping[str, Any], children: Children) -> Step:
    """Search and train every member, then measure the ensemble of the successful ones."""
    members = _members(spec, children)
    ensemble = children.get(ENSEMBLE)
    if ensemble is not None:
        if ensemble.lost:
            return Step(failure=ensemble.failure)
        return _result(members, ensemble, children) if ensemble.succeeded else Step()
    failed, enough = [m for m in members if m.failure is not None], spec["enough"]
    if len(members) - len(failed) < enough:
        why = "; ".join(str(m.failure) for m in failed)
        count = f"{len(failed)} of {len(members)} members failed, and {enough} are needed"
        return Step(cancel=active_ids(children), failure=f"{count} ({why})")
    trained = [m.evaluation for m in members if m.evaluation is not None and m.evaluation.succeeded]
    if len(failed) + len(trained) == len(members):
        named = [{"evaluation_id": str(evaluation.id)} for evaluation in trained]
        request = {**spec["ensemble"], "members": named}
        return Step(create=(NewChild(JobKind.ENSEMBLE, ENSEMBLE, request, is_request=True),))
    return Step(create=tuple(new for member in members if (new := member.next()) is not None))


def worth_retrying(spec: Mapping[str, Any], children: Children) -> list[Child]:
    """The lost children that still affect the outcome; once there is an ensemble, only the ensemble."""
    decisive = [children[ENSEMBLE]] if ENSEMBLE in children else list(children.values())
    return [child for child in decisive if child.lost]


@dataclass(frozen=True)
class _Member:
    """One cell on its way into the committee. place: the index of its seed."""

    point: Mapping[str, Any]
    seed: int
    place: int
    search: Child | None
    evaluation: Child | None

    @property
    def failure(self) -> str | None:
        return next((c.failure for c in (self.search, self.evaluation) if c is not None and c.lost), None)

    def next(self) -> NewChild | None:
        """The member's next job, or None while it waits."""
        if self.search is None:
            spec = {**self.point["search"], "seed": self.seed}
            return NewChild(JobKind.SEARCH, _stage("search", self.point, self.seed), spec)
        if self.evaluation is not None or not self.search.succeeded:
            return None
        training = self.point["evaluation"]
        spec = {**training, "seed": training["seed"] + self.place, "genotype": self.search.genotype}
        return NewChild(JobKind.EVALUATION, _stage("evaluation", self.point, self.seed), spec, self.search.id)

    def row(self) -> dict[str, Any]:
        """The member's row in the result."""
        trained = self.evaluation if self.evaluation is not None and self.evaluation.succeeded else None
        return {
            **self.point["values"],
            "seed": self.seed,
            "search": self.search and self.search.link,
            "evaluation": self.evaluation and self.evaluation.link,
            "genotype": self.search.genotype if self.search is not None and self.search.succeeded else None,
            "best": dict(trained.best) if trained is not None else None,
            "metrics": dict(trained.metrics) if trained is not None else None,
            "failure": self.failure,
        }


def _stage(name: str, point: Mapping[str, Any], seed: int) -> str:
    return f"{name}/{point['values']['space']}-seed-{seed}"


def _members(spec: Mapping[str, Any], children: Children) -> list[_Member]:
    return [
        _Member(
            point,
            seed,
            place,
            children.get(_stage("search", point, seed)),
            children.get(_stage("evaluation", point, seed)),
        )
        for point in spec["points"]
        for place, seed in enumerate(spec["seeds"])
    ]


def _result(members: list[_Member], ensemble: Child, children: Children) -> Step:
    seconds = round(sum(child.seconds for child in children.values()), 3)
    found = dict(ensemble.result or {})
    result: dict[str, Any] = {
        "members": [member.row() for member in members],
        "ensemble": ensemble.link,
        **{name: found[name] for name in ("committee", "plain", "gain", "selection") if name in found},
        "compute_seconds": seconds,
    }
    return Step(result=result, metrics={**ensemble.metrics, "compute_seconds": seconds})
