"""A thread that works until it is ended, whatever happens in it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Final

import structlog

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0
_log = structlog.get_logger(__name__)


class SupervisedThread(threading.Thread, ABC):
    """Calls `work` again when it raises, sooner the first times, then later."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._over = threading.Event()

    @abstractmethod
    def work(self) -> None:
        """Work until `_over` is set, or until nothing is left to do."""

    def run(self) -> None:
        """Work, again and again where that fails."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                self.work()
                return
            except Exception as error:
                _log.error("thread_failed", thread=self.name, exc_info=error)
            if self._over.wait(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
