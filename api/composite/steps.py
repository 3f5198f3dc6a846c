"""Defines the input and output of a composite job's protocol: its children's states and the next step.

Protocols (`study.py`, `committee.py`) are functions of the spec and the children alone, so a step that is repeated
after a crash is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from api.datasets.service import DatasetService
from api.schemas.jobs import JobKind, Status


@dataclass(frozen=True)
class Child:
    """A child of the composite job. genotype: of a search's last epoch. seconds: GPU seconds of all attempts.

    pause_after: the epoch after which it pauses by itself. history: metrics by epoch, for a study with a strategy.
    """

    id: UUID
    kind: JobKind
    stage: str
    status: Status
    status_reason: str | None = None
    source: UUID | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, float] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    genotype: Mapping[str, Any] | None = None
    seconds: float = 0.0
    pause_after: int | None = None
    history: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.status is Status.SUCCEEDED

    @property
    def lost(self) -> bool:
        """Whether it ended without success."""
        return self.status.ended and not self.succeeded

    @property
    def link(self) -> str:
        """The path of its job."""
        return f"/{self.kind.collection}/{self.id}"

    @property
    def failure(self) -> str | None:
        """Why it ended without success; None while it is active or after success."""
        if not self.lost:
            return None
        return f"{self.stage} {self.status}" + (f": {self.status_reason}" if self.status_reason else "")


@dataclass(frozen=True)
class NewChild:
    """A job to queue. Its stage is its unique name within the composite job.

    is_request: whether the spec is the body of a creating request, which is resolved first. pause_after: the epoch
    after which it pauses by itself.
    """

    kind: JobKind
    stage: str
    spec: dict[str, Any]
    source: UUID | None = None
    is_request: bool = False
    pause_after: int | None = None


@dataclass(frozen=True)
class Step:
    """The next step. At most one of result and failure is set; either ends the composite job."""

    create: tuple[NewChild, ...] = ()
    # Children whose outcome is no longer needed.
    cancel: tuple[UUID, ...] = ()
    result: dict[str, Any] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    # Paused children that go on, with the epoch after which they pause again; None for the last one.
    promote: Mapping[UUID, int | None] = field(default_factory=dict)


Children = Mapping[str, Child]
"""Children by stage."""
Spec = Mapping[str, Any]


Grow = Callable[[Spec, Children, DatasetService, int], Awaitable[dict[str, Any] | None]]
"""Of the spec, the children, the data sets and the job's GPUs."""


@dataclass(frozen=True)
class Protocol:
    """The functions of a composite kind.

    grow: before each step, the spec with what is decided now, or None. next_step: the next step. worth_retrying: the
    lost children that affect the outcome. planned: the number of children. at_once: the largest number of children
    queued at the same time.
    """

    next_step: Callable[[Spec, Children], Step]
    worth_retrying: Callable[[Spec, Children], list[Child]]
    planned: Callable[[Spec], int]
    at_once: Callable[[Spec], int]
    grow: Grow | None = None


def active_ids(children: Mapping[str, Child]) -> tuple[UUID, ...]:
    """The ids of the active children."""
    return tuple(child.id for child in children.values() if not child.status.ended)
