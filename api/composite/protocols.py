"""The protocol of each kind of tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.composite import committee, study
from api.composite.steps import Child, Children, Step
from api.schemas.jobs import JobKind

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Protocol:
    """next_step: what to do now. worth_retrying: the lost children that matter. planned: how many there will be,
    at_once: how many of them may be queued at the same time.
    """

    next_step: Callable[[Spec, Children], Step]
    worth_retrying: Callable[[Spec, Children], list[Child]]
    planned: Callable[[Spec], int]
    at_once: Callable[[Spec], int]


PROTOCOLS: Final[dict[JobKind, Protocol]] = {
    JobKind.STUDY: Protocol(study.next_step, study.worth_retrying, study.planned, study.at_once),
    JobKind.COMMITTEE: Protocol(committee.next_step, committee.worth_retrying, committee.planned, committee.at_once),
}
