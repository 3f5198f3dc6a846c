"""Stopping a run in the middle of an epoch."""

from __future__ import annotations

from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import Progress

AT_EVERY_STEP = 1e-9


class Killer:
    """A control that keeps what it is given and stops the run before the step after `steps`."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.kept: list[Checkpoint] = []

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0

    def progress(self, progress: Progress) -> None:
        self.now = progress

    def keep(self, checkpoint: Checkpoint) -> None:
        self.kept.append(checkpoint)
