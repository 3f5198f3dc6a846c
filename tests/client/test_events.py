from uuid import UUID

import pytest

from api.schemas.jobs import JobKind, Status
from client.events import (
    CheckpointEvent,
    ChildEvent,
    EndEvent,
    EpochEvent,
    Event,
    LogEvent,
    PreemptedEvent,
    StatusEvent,
    StepEvent,
    event_of,
)

pytestmark = pytest.mark.light

ID = "0199c0de-0000-7000-8000-000000000001"


def test_every_kind_of_event_has_typed_fields() -> None:
    status = event_of(1, "status", {"status": "queued", "reason": "no worker", "attempt": 0})
    assert isinstance(status, StatusEvent)
    assert (status.status, status.reason) == (Status.QUEUED, "no worker")
    step = event_of(2, "step", {"epoch": 1, "epochs": 3, "step": 0, "steps": 0, "stage": "loading data"})
    assert isinstance(step, StepEvent)
    assert (step.progress.epochs, step.progress.stage) == (3, "loading data")
    epoch = event_of(
        3, "epoch", {"epoch": 1, "seconds": 2.5, "metrics": {"train_loss": 1.5}, "alphas": None, "strengths": None}
    )
    assert isinstance(epoch, EpochEvent)
    assert (epoch.epoch, epoch.seconds, epoch.metrics["train_loss"], epoch.alphas) == (1, 2.5, 1.5, None)
    assert epoch.strengths is None
    older = event_of(3, "epoch", {"epoch": 1, "alphas": {"normal": [[0.0, 0.0]]}})
    assert isinstance(older, EpochEvent)
    assert older.strengths == {"normal": [[0.5, 0.5]]}
    log = event_of(4, "log", {"time": "2026-01-02T03:04:05Z", "level": "warning", "message": "collapse looms"})
    assert isinstance(log, LogEvent)
    assert (log.time.year, log.level, log.message) == (2026, "warning", "collapse looms")
    checkpoint = event_of(5, "checkpoint", {"id": ID, "epoch": 1})
    assert isinstance(checkpoint, CheckpointEvent)
    assert (checkpoint.id, checkpoint.epoch) == (UUID(ID), 1)
    preempted = event_of(6, "preempted", {"by": ID, "reason": "makes room"})
    assert isinstance(preempted, PreemptedEvent)
    assert (preempted.by, preempted.reason) == (UUID(ID), "makes room")
    child = event_of(6, "child", {"stage": "search/seed-0", "id": ID, "kind": "search", "status": "running"})
    assert isinstance(child, ChildEvent)
    assert (child.id, child.child_kind, child.stage, child.status) == (
        UUID(ID),
        JobKind.SEARCH,
        "search/seed-0",
        Status.RUNNING,
    )
    assert isinstance(event_of(7, "end", {}), EndEvent)


def test_an_event_of_a_later_services_kind_is_a_plain_one() -> None:
    assert event_of(1, "promotion", {"a": 1}) == Event(1, "promotion", {"a": 1})
