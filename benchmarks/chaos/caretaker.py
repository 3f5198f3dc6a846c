"""Resumes jobs that a full disk has paused, as an operator would."""

from __future__ import annotations

import threading
from contextlib import suppress

from client.errors import DartboardError
from client.sdk import Dartboard

_PAUSE = 1.0  # seconds between two checks


class Caretaker(threading.Thread):
    """A thread that runs until `leave`. `resumed` counts resumed jobs."""

    def __init__(self, url: str) -> None:
        super().__init__(name="caretaker", daemon=True)
        self._dartboard = Dartboard(url)
        self._leaving = threading.Event()
        self.resumed = 0

    def leave(self) -> None:
        """Stop and join the thread."""
        self._leaving.set()
        self.join()
        self._dartboard.close()

    def run(self) -> None:
        while not self._leaving.wait(_PAUSE):
            with suppress(DartboardError):  # the service is down, or the job has moved on
                for job in self._dartboard.jobs(kind="search", status="paused"):
                    self._dartboard.resume(job.id)
                    self.resumed += 1
