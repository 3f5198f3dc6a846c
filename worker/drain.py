"""Tells the training when the worker is asked to stop."""

from __future__ import annotations

import threading

from worker.control import AttemptControl, StopReason
from worker.settings import WorkerSettings


class DrainWatch(threading.Thread):
    """Looks for the flag that the main process leaves: Celery gives a child no signal of a warm shutdown."""

    def __init__(self, control: AttemptControl, settings: WorkerSettings) -> None:
        super().__init__(name="drain-watch", daemon=True)
        self._control, self._settings = control, settings
        self._over = threading.Event()

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join(timeout=5)

    def run(self) -> None:
        """Look until ended, or until the flag is there."""
        while not self._over.wait(self._settings.drain_look_seconds):
            if self._settings.drain_flag.exists():
                self._control.stop(StopReason.DRAIN)
                return
