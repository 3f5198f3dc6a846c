"""A job's events, a class for each kind: what `Dartboard.follow` gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict, cast
from uuid import UUID

from api.schemas.jobs import JobKind, Progress, Status, Table


class Metrics(TypedDict, total=False):
    """An epoch's figures: those that its kind and family have, and others by their names. Accuracies in percent, losses
    in nats.
    """

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
    """One entry of a job's event log. `kind` names its class; `data` is what came over the wire."""

    sequence: int
    kind: str
    data: dict[str, Any]


class StatusEvent(Event):
    """The job has another status."""

    @property
    def status(self) -> Status:
        """The new one."""
        return Status(self.data["status"])

    @property
    def reason(self) -> str | None:
        """Why, where there is more to say."""
        return cast("str | None", self.data["reason"])


class StepEvent(Event):
    """The job has come further within an epoch, or is in another stage."""

    @property
    def progress(self) -> Progress:
        """Where it stands."""
        return Progress.model_validate(self.data)


class EpochEvent(Event):
    """An epoch has ended and is stored."""

    @property
    def epoch(self) -> int:
        """From 1."""
        return int(self.data["epoch"])

    @property
    def seconds(self) -> float:
        """That it took."""
        return float(self.data["seconds"])

    @property
    def metrics(self) -> Metrics:
        """Its figures."""
        return cast(Metrics, self.data["metrics"])

    @property
    def alphas(self) -> dict[str, Table] | None:
        """Raw, by the kind of cell: one row an edge, one column a primitive; None of what is no search."""
        return cast("dict[str, Table] | None", self.data.get("alphas"))


class LogEvent(Event):
    """A worker has logged a line."""

    @property
    def time(self) -> datetime:
        """When."""
        return datetime.fromisoformat(self.data["time"])

    @property
    def level(self) -> str:
        """`debug`, `info`, `warning` or `error`."""
        return str(self.data["level"])

    @property
    def message(self) -> str:
        """The line."""
        return str(self.data["message"])


class CheckpointEvent(Event):
    """A file has been stored."""

    @property
    def id(self) -> UUID:
        """Of the checkpoint."""
        return UUID(self.data["id"])

    @property
    def epoch(self) -> int:
        """The epoch that it holds."""
        return int(self.data["epoch"])


class ChildEvent(Event):
    """A child of a study or a committee has another status."""

    @property
    def id(self) -> UUID:
        """Of the child."""
        return UUID(self.data["id"])

    @property
    def child_kind(self) -> JobKind:
        """What it is."""
        return JobKind(self.data["kind"])

    @property
    def stage(self) -> str:
        """Which of its parent's children it is."""
        return str(self.data["stage"])

    @property
    def status(self) -> Status:
        """The new one."""
        return Status(self.data["status"])


class EndEvent(Event):
    """Nothing follows: the job has ended."""


_CLASSES: Final[dict[str, type[Event]]] = {
    "status": StatusEvent,
    "step": StepEvent,
    "epoch": EpochEvent,
    "log": LogEvent,
    "checkpoint": CheckpointEvent,
    "child": ChildEvent,
    "end": EndEvent,
}


def event_of(sequence: int, kind: str, data: dict[str, Any]) -> Event:
    """An event of its kind's class; of a kind that a later service has, a plain one."""
    return _CLASSES.get(kind, Event)(sequence, kind, data)
