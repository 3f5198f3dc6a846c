"""Shows the stage and step of a run in this process."""

from __future__ import annotations

from client.clock import Clock
from darts_core.training.control import Progress, Uncontrolled
from darts_core.training.stages import PREPARING


class ShownControl(Uncontrolled):
    """A control that displays progress and never stops the run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._training, self._step = PREPARING, ""

    def enter_stage(self, name: str | None) -> None:
        """Called by darts_core.training.stages; None between stages."""
        if name is None:
            self._clock.stage(self._training, self._step)
        else:
            self._clock.stage(name)

    def progress(self, progress: Progress) -> None:
        self._training = f"epoch {progress.epoch}/{progress.epochs}"
        self._step = f"step {progress.step}/{progress.steps}"
        self._clock.stage(self._training, self._step)
