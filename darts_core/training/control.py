"""The interface between a training loop and its caller: the loop reports progress and asks whether to stop.

Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from darts_core.files.checkpoints import Checkpoint


@dataclass(frozen=True)
class Progress:
    """Where a run stands. `epoch` (from 1) is the one being trained; `step` of `steps` in it are done."""

    epoch: int
    epochs: int
    step: int
    steps: int


class Control(Protocol):
    """Asked and told once a step: both calls must be cheap and must not block."""

    def should_stop(self) -> bool:
        """Whether the loop shall raise `Stopped` before its next step."""

    def progress(self, progress: Progress) -> None:
        """Take note of a finished step."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint made in the middle of an epoch that is long or stopped; it replaces the one before."""


class Uncontrolled:
    """Never stops, and drops all reports."""

    def should_stop(self) -> bool:
        """Never."""
        return False

    def progress(self, progress: Progress) -> None:
        """Forget it."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Forget it."""


UNCONTROLLED: Final = Uncontrolled()
