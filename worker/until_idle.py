"""Ends the workers of a host that is paid for or waited for by others, once they have had nothing to do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import structlog

from worker.attempt_dir import AttemptFolder

_LONGEST_PAUSE: Final = 5.0
_log = structlog.get_logger(__name__)


class IdleWatch(threading.Thread):
    """Sends this process SIGTERM when no worker of it has had a job for so long: a job claimed at that moment is given
    back, as in any drain.
    """

    def __init__(self, states: Collection[Path], minutes: float) -> None:
        """states: the workers' state folders."""
        super().__init__(name="idle-watch", daemon=True)
        self._folders = [AttemptFolder(state) for state in states]
        self._seconds = 60 * minutes

    def run(self) -> None:
        """Look until the time is over."""
        busy = time.monotonic()
        while (idle := time.monotonic() - busy) < self._seconds:
            time.sleep(min(_LONGEST_PAUSE, self._seconds - idle, self._seconds / 10))
            if any(folder.leftover() for folder in self._folders):
                busy = time.monotonic()
        _log.info("idle", minutes=self._seconds / 60)
        os.kill(os.getpid(), signal.SIGTERM)
