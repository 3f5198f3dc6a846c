"""Passes stop requests and progress between the training loop and the threads beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from api.schemas.jobs import Progress as ProgressOut
from darts_core.training.control import Progress
from darts_core.training.stages import PREPARING
from worker.prometheus import metrics

if TYPE_CHECKING:
    from darts_core.files.checkpoints import Checkpoint


class StopReason(StrEnum):
    """Why the loop stops between two steps."""

    SUPERSEDED = "superseded"
    DRAIN = "drain"
    PREEMPTED = "preempted"
    UNDELIVERABLE = "undeliverable"
    UNSAVED = "unsaved"


class AttemptControl:
    """The loop's `Control`: plain attributes, which are cheap to read at each step."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.reason: StopReason | None = None
        self.pause_after_epoch = False
        self.on_checkpoint: Callable[[Checkpoint], None] | None = None
        self.stage: str | None = None
        self._steps = metrics().steps
        self._start: Progress | None = None
        self._progress: Progress | None = None
        self._first: tuple[float, int] | None = None

    def begin(self, at: Progress) -> None:
        """Set the progress that `snapshot` gives until the first step is done."""
        self._start = at

    @property
    def preparing(self) -> bool:
        """Whether no step has been done yet."""
        return self._progress is None

    def enter_stage(self, name: str | None) -> None:
        """Set the stage; None between stages. darts_core.training.stages calls it."""
        self.stage = name

    def stop(self, reason: StopReason) -> None:
        """Stop the loop before its next step. The first reason is kept; a preemption gives way to any other."""
        if self.reason in (None, StopReason.PREEMPTED):
            self.reason = reason
            self.stopping.set()

    def should_stop(self) -> bool:
        """Called by the loop before each step."""
        return self.stopping.is_set()

    def progress(self, progress: Progress) -> None:
        """Called by the loop after each step."""
        if self._first is None:
            self._first = (time.monotonic(), _left(progress))
        self._steps.inc()
        self._progress = progress

    def keep(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint. The loop calls it within a long epoch, and when it stops within any."""
        # An attempt that is over or has no room to save keeps no more checkpoints.
        if self.on_checkpoint is not None and self.reason in (None, StopReason.DRAIN, StopReason.PREEMPTED):
            self.on_checkpoint(checkpoint)

    def snapshot(self) -> ProgressOut | None:
        """The progress, with the remaining time at the speed so far; None before `begin`."""
        progress, first, stage = self._progress, self._first, self.stage
        if progress is None or first is None:
            return None if self._start is None else _progress_out(self._start, None, stage or PREPARING)
        began, at_first = first
        left = _left(progress)
        eta = (time.monotonic() - began) / (at_first - left) * left if left < at_first else None
        return _progress_out(progress, eta, stage)


def _progress_out(progress: Progress, eta: float | None, stage: str | None) -> ProgressOut:
    return ProgressOut(
        epoch=progress.epoch,
        epochs=progress.epochs,
        step=progress.step,
        steps=progress.steps,
        eta_seconds=None if eta is None else round(eta, 1),
        stage=stage,
    )


def _left(progress: Progress) -> int:
    """The number of steps that are still to do."""
    if progress.left is not None:
        return progress.left
    return (progress.epochs - progress.epoch + 1) * progress.steps - progress.step
