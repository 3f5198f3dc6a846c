"""Shows a run of this process on a clock: its stage, or the step that it is at."""

from __future__ import annotations

from client.clock import Clock
from darts_core.training.control import Progress, Uncontrolled
from darts_core.training.stages import PREPARING


class ShownControl(Uncontrolled):
    """The control of a run that is only watched."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._training, self._step = PREPARING, ""

    def enter_stage(self, name: str | None) -> None:
        """Told by darts_core.training.stages; None between stages."""
        if name is None:
            self._clock.stage(self._training, self._step)
        else:
            self._clock.stage(name)

    def progress(self, progress: Progress) -> None:
        """Show the step."""
        self._training = f"epoch {progress.epoch}/{progress.epochs}"
        self._step = f"step {progress.step}/{progress.steps}"
        self._clock.stage(self._training, self._step)
