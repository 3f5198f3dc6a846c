"""Stops the training when the worker drains."""

from __future__ import annotations

from worker.control import AttemptControl, StopReason
from worker.settings import WorkerSettings
from worker.threads import SupervisedThread


class DrainWatch(SupervisedThread):
    """Polls the flag file that the main process creates: Celery sends a child no signal of a warm shutdown."""

    def __init__(self, control: AttemptControl, settings: WorkerSettings) -> None:
        super().__init__("drain-watch")
        self._control, self._settings = control, settings

    def end(self) -> None:
        self._over.set()
        self.join(timeout=5)

    def work(self) -> None:
        while not self._over.wait(self._settings.drain_look_seconds):
            if self._settings.drain_flag.exists():
                self._control.stop(StopReason.DRAIN)
                return
