"""Dartboard's SDK: searches, retraining and checkpoints of a running service, from Python.

import dartboard

with dartboard.Dartboard("http://127.0.0.1:8000") as db:
    search = db.submit("search", {"dataset": "digits", "epochs": 3})
    for event in db.follow(search):
        print(event.kind, event.data)
    print(db.genotype(search.id))

`dartboard.load` makes a network of a downloaded file; it alone needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.schemas.jobs import CheckpointOut, EpochOut, JobKind, JobOut, Progress, Status
from client.distribution import advice
from client.errors import (
    DartboardError,
    DownloadError,
    NotDartboardError,
    ProblemError,
    ServiceUnreachableError,
)
from client.events import (
    CheckpointEvent,
    ChildEvent,
    EndEvent,
    EpochEvent,
    Event,
    LogEvent,
    Metrics,
    PreemptedEvent,
    StatusEvent,
    StepEvent,
)
from client.sdk import Dartboard
from darts_core.configs import (
    AnyConfig,
    EvaluationConfig,
    RnnEvaluationConfig,
    RnnSearchConfig,
    SearchConfig,
)
from darts_core.configs.init_from import InitFrom

if TYPE_CHECKING:
    from darts_core.files.loading import load

__all__ = [
    "AnyConfig",
    "CheckpointEvent",
    "CheckpointOut",
    "ChildEvent",
    "Dartboard",
    "DartboardError",
    "DownloadError",
    "EndEvent",
    "EpochEvent",
    "EpochOut",
    "EvaluationConfig",
    "Event",
    "InitFrom",
    "JobKind",
    "JobOut",
    "LogEvent",
    "Metrics",
    "NotDartboardError",
    "PreemptedEvent",
    "ProblemError",
    "Progress",
    "RnnEvaluationConfig",
    "RnnSearchConfig",
    "SearchConfig",
    "ServiceUnreachableError",
    "Status",
    "StatusEvent",
    "StepEvent",
    "load",
]


def __getattr__(name: str) -> Any:
    if name != "load":
        raise AttributeError(f"module 'dartboard' has no attribute {name!r}")
    try:
        from darts_core.files.loading import load
    except ModuleNotFoundError as error:
        raise ImportError(f"dartboard.load needs {error.name}: {advice('worker')}") from error
    return load
