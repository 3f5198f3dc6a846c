"""Event classes of `Dartboard.follow`, one per kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict, cast
from uuid import UUID

from api.schemas.jobs import JobKind, Progress, Status, Table
from darts_core.genotypes.derive import strengths_of


class Metrics(TypedDict, total=False):
    """Metrics of an epoch: those of its kind and family, and others by name. Accuracies in percent, losses in nats."""

    train_loss: float
    train_accuracy: float
    train_perplexity: float
    validation_loss: float
    validation_accuracy: float
    validation_perplexity: float
    test_loss: float
    test_accuracy: float
    test_top5: float
    test_perplexity: float
    skip_connects: float
    alpha_entropy: float
    hessian_eigenvalue: float


@dataclass(frozen=True)
class Event:
    """One entry of a job's event log. `kind` names its class; `data` is the payload as received."""

    sequence: int
    kind: str
    data: dict[str, Any]


class StatusEvent(Event):
    """The job's status has changed."""

    @property
    def status(self) -> Status:
        return Status(self.data["status"])

    @property
    def reason(self) -> str | None:
        """The reason, if any."""
        return cast("str | None", self.data["reason"])


class StepEvent(Event):
    """Progress within an epoch, or a new stage."""

    @property
    def progress(self) -> Progress:
        return Progress.model_validate(self.data)


class EpochEvent(Event):
    """An epoch has ended and is stored."""

    @property
    def epoch(self) -> int:
        """From 1."""
        return int(self.data["epoch"])

    @property
    def seconds(self) -> float:
        """Duration."""
        return float(self.data["seconds"])

    @property
    def metrics(self) -> Metrics:
        return cast(Metrics, self.data["metrics"])

    @property
    def alphas(self) -> dict[str, Table] | None:
        """Raw tables by cell kind: one row per edge, one column per primitive; None unless the job is a search."""
        return cast("dict[str, Table] | None", self.data.get("alphas"))

    @property
    def strengths(self) -> dict[str, Table] | None:
        """The expected weights of the operations, in tables of the same shapes."""
        return strengths_of(self.alphas, self.data.get("strengths"))


class LogEvent(Event):
    """A worker has logged a line."""

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.data["time"])

    @property
    def level(self) -> str:
        """`debug`, `info`, `warning` or `error`."""
        return str(self.data["level"])

    @property
    def message(self) -> str:
        return str(self.data["message"])


class CheckpointEvent(Event):
    """A file has been stored."""

    @property
    def id(self) -> UUID:
        """The checkpoint's id."""
        return UUID(self.data["id"])

    @property
    def epoch(self) -> int:
        """The checkpoint's epoch."""
        return int(self.data["epoch"])


class PreemptedEvent(Event):
    """The job saves its state and makes room for an urgent one."""

    @property
    def by(self) -> UUID:
        """The urgent job's id."""
        return UUID(self.data["by"])

    @property
    def reason(self) -> str:
        return str(self.data["reason"])


class ChildEvent(Event):
    """The status of a child of a study or a committee has changed."""

    @property
    def id(self) -> UUID:
        """The child's id."""
        return UUID(self.data["id"])

    @property
    def child_kind(self) -> JobKind:
        """The child's kind."""
        return JobKind(self.data["kind"])

    @property
    def stage(self) -> str:
        """The child's stage within its parent."""
        return str(self.data["stage"])

    @property
    def status(self) -> Status:
        """The child's new status."""
        return Status(self.data["status"])


class EndEvent(Event):
    """The last event: the job has ended."""


_CLASSES: Final[dict[str, type[Event]]] = {
    "status": StatusEvent,
    "step": StepEvent,
    "epoch": EpochEvent,
    "log": LogEvent,
    "checkpoint": CheckpointEvent,
    "preempted": PreemptedEvent,
    "child": ChildEvent,
    "end": EndEvent,
}


def event_of(sequence: int, kind: str, data: dict[str, Any]) -> Event:
    """Build the event of its kind's class; a plain Event for a kind unknown to this version."""
    return _CLASSES.get(kind, Event)(sequence, kind, data)
