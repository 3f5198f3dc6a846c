"""Defines the interface between a training loop and its caller: progress, stop requests, partial checkpoints.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from darts_core.files.checkpoints import Checkpoint


@dataclass(frozen=True)
class Progress:
    """The position of a run: `step` of the `steps` of `epoch` (from 1) are done.

    left: steps of the run that are still to do; None where each epoch has the same number of steps.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    left: int | None = None


class Control(Protocol):
    """Called once a step: `should_stop` and `progress` must be cheap and must not block."""

    def should_stop(self) -> bool:
        """Whether the loop raises `Stopped` before its next step."""

    def progress(self, progress: Progress) -> None:
        """Record a finished step."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint from the middle of an epoch; it replaces the previous one."""


class Uncontrolled:
    """Never stops, and discards progress and partial checkpoints."""

    def should_stop(self) -> bool:
        """Never."""
        return False

    def progress(self, progress: Progress) -> None:
        """Forget it."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Forget it."""


UNCONTROLLED: Final = Uncontrolled()

_current: Control = UNCONTROLLED


@contextmanager
def controlled_by(control: Control) -> Iterator[None]:
    """Let the control stop long work deep within this process's run, such as a compilation, while the block runs."""
    global _current
    before, _current = _current, control
    try:
        yield
    finally:
        _current = before


def current_control() -> Control:
    """The control of this process's run."""
    return _current
