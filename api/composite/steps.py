"""What a tree's protocol sees and says: its children as they stand, and what is to be done next.

Protocols (`study.py`, `committee.py`) are pure functions of the tree's spec and its children. So a step can be taken
again after any crash, and says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from api.schemas.jobs import JobKind, Status


@dataclass(frozen=True)
class Child:
    """A job of the tree. genotype: that of a search's last epoch. seconds: of running, all its attempts together."""

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

    @property
    def succeeded(self) -> bool:
        """Ended, with what was wanted of it."""
        return self.status is Status.SUCCEEDED

    @property
    def lost(self) -> bool:
        """Ended, with nothing to go on from."""
        return self.status.ended and not self.succeeded

    @property
    def link(self) -> str:
        """Its place."""
        return f"/{self.kind.collection}/{self.id}"

    @property
    def failure(self) -> str | None:
        """What became of it instead of a success; None while that may still come."""
        if not self.lost:
            return None
        return f"{self.stage} {self.status}" + (f": {self.status_reason}" if self.status_reason else "")


@dataclass(frozen=True)
class NewChild:
    """A job to queue. Its stage names it within the tree: made twice, it is still one."""

    kind: JobKind
    stage: str
    spec: dict[str, Any]
    source: UUID | None = None


@dataclass(frozen=True)
class Step:
    """What to do now. At most one of result and failure: with either the tree ends."""

    create: tuple[NewChild, ...] = ()
    # Children whose outcome has become useless.
    cancel: tuple[UUID, ...] = ()
    result: dict[str, Any] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None


Children = Mapping[str, Child]
"""By their stages."""


def active_ids(children: Mapping[str, Child]) -> tuple[UUID, ...]:
    """Of those that have not ended."""
    return tuple(child.id for child in children.values() if not child.status.ended)
