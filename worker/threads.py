"""Restarts a thread's work after each failure, and counts the failures."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import structlog

from darts_core.runtime.backoff import Backoff
from worker.prometheus import metrics

_log = structlog.get_logger(__name__)


class SupervisedThread(threading.Thread, ABC):
    """Calls `work` again when it raises, after pauses that grow."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._over = threading.Event()
        self._backoff = Backoff()

    @abstractmethod
    def work(self) -> None:
        """Work until `_over` is set or nothing is left to do."""

    def run(self) -> None:
        failures = metrics().thread_failures.labels(self.name)  # now: a counter without a first value has no rate
        while True:
            try:
                self.work()
                return
            except Exception as error:
                _log.error("thread_failed", thread=self.name, exc_info=error)
                failures.inc()
            if self._over.wait(self._backoff.pause()):
                return
