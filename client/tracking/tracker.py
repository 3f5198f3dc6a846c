"""Defines what a tracker takes of a job: a run, its epochs in order, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from api.schemas.jobs import EpochOut, JobOut


class Run(Protocol):
    """One job at a tracker."""

    def add(self, epochs: Sequence[EpochOut]) -> None:
        """Write further epochs, which may be none."""

    def end(self, job: JobOut) -> None:
        """Write what goes without an epoch, and close. job: its present state, which may be active."""


class Tracker(Protocol):
    """A place that keeps runs; each may be written from a thread of its own."""

    def open(self, job: JobOut) -> Run:
        """The job's run. One that an earlier export wrote is replaced or continued, never doubled."""
