"""Tells the training when the worker is asked to stop."""

from __future__ import annotations

from worker.control import AttemptControl, StopReason
from worker.settings import WorkerSettings
from worker.threads import SupervisedThread


class DrainWatch(SupervisedThread):
    """Looks for the flag that the main process leaves: Celery gives a child no signal of a warm shutdown."""

    def __init__(self, control: AttemptControl, settings: WorkerSettings) -> None:
        super().__init__("drain-watch")
        self._control, self._settings = control, settings

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join(timeout=5)

    def work(self) -> None:
        """Look until ended, or until the flag is there."""
        while not self._over.wait(self._settings.drain_look_seconds):
            if self._settings.drain_flag.exists():
                self._control.stop(StopReason.DRAIN)
                return
