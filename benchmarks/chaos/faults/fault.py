"""Defines the interface of a fault and its target, a running service."""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from client.local.stack import LocalStack
from darts_core.runtime.process import Process


@dataclass
class Target:
    """A running service, its data directory, and a record of the faults so far.

    submit_urgent: submits an urgent search, waits for the service's answer, returns the job's id.
    """

    stack: LocalStack
    data: Path
    submit_urgent: Callable[[random.Random], UUID]
    over: threading.Event = field(default_factory=threading.Event)
    damaged: set[str] = field(default_factory=set)
    """Keys of the checkpoints that a fault has damaged."""

    @property
    def database_url(self) -> str:
        """For psycopg; includes the password."""
        url = self.stack.processes["api"].command.environment["DATABASE_URL"]
        return url.replace("postgresql+psycopg:", "postgresql:")

    @property
    def worker_key(self) -> str:
        """The workers' API key."""
        return self.stack.processes["worker-1"].command.environment["DARTBOARD_WORKER_KEY"]

    @property
    def artifacts(self) -> Path:
        return Path(self.stack.processes["api"].command.environment["DARTBOARD_ARTIFACTS"])

    def worker(self, draw: random.Random) -> Process:
        return self.stack.processes[draw.choice(sorted(n for n in self.stack.processes if n.startswith("worker-")))]

    def state_of(self, worker: Process) -> Path:
        """A worker's attempt directory."""
        return Path(worker.command.environment["DARTBOARD_WORKER_STATE"])


class Fault(ABC):
    """One kind of fault."""

    name: str

    def missing(self) -> str:
        """Why this machine cannot inject the fault; empty if it can."""
        return ""

    def prepare(self, target: Target) -> None:  # noqa: B027 - most need nothing
        """Set up the fault; called once, before the first strike."""

    @abstractmethod
    def strike(self, target: Target, draw: random.Random) -> bool:
        """Inject the fault and undo it. False when there was no target. Returns early when `target.over` is set."""
