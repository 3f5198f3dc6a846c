"""Delivers an attempt's reports in order, in a thread beside the training. An absent API delays them and loses none."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from darts_core.runtime.backoff import Backoff
from worker.api_client import (
    AttemptApi,
    RefusedError,
    StoreFullError,
    SupersededError,
    UnreachableError,
    WorkerApiError,
)
from worker.control import AttemptControl, StopReason
from worker.prometheus import metrics
from worker.threads import SupervisedThread

_log = structlog.get_logger(__name__)
_LOOK_UP = 0.2  # seconds between two checks of the stop reason

Delivery = Callable[[AttemptApi], None]


@dataclass(frozen=True)
class _Report:
    what: str
    deliver: Delivery


class Reporter(SupervisedThread):
    """A queue with one delivering thread. The report's number makes a repeated delivery idempotent."""

    def __init__(self, api: AttemptApi, control: AttemptControl) -> None:
        super().__init__("reporter")
        self._api, self._control = api, control
        self._queue: deque[_Report] = deque()
        self._changed = threading.Condition()
        self._number = 0
        self._closing = False
        self.refusal: WorkerApiError | None = None

    def send(self, what: str, deliver: Callable[[AttemptApi, int], None]) -> None:
        """Queue a report; `deliver` gets the API and the report's number."""
        with self._changed:
            self._number += 1
            number = self._number
            self._queue.append(_Report(what, lambda api: deliver(api, number)))
            metrics().reports_waiting.set(len(self._queue))
            self._changed.notify_all()

    def close(self, patience: float) -> bool:
        """Wait until every report is delivered or one is refused. Returns whether all were delivered.

        A draining worker waits `patience` seconds at most; the lease expires then.
        """
        deadline: float | None = None
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while not self._changed.wait_for(self._settled, _LOOK_UP):
                if deadline is None and self._control.reason is StopReason.DRAIN:
                    deadline = time.monotonic() + patience
                if deadline is not None and time.monotonic() > deadline:
                    break
            delivered = not self._queue and self.refusal is None
            self._queue.clear()
            metrics().reports_waiting.set(0)
            self._changed.notify_all()
        return delivered

    def _settled(self) -> bool:
        return not self._queue or self.refusal is not None

    def work(self) -> None:
        backoff = Backoff()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                report = self._queue[0]
            try:
                report.deliver(self._api)
            except UnreachableError as error:
                _log.warning("report_waits", report=report.what, error=str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closing and not self._queue, backoff.pause())
                continue
            except WorkerApiError as error:
                self._give_up(report, error)
                return
            except Exception as error:  # a dead reporter would keep the lease for ever
                self._give_up(report, RefusedError(f"{report.what} cannot be sent: {type(error).__name__}: {error}"))
                return
            backoff.reset()
            with self._changed:
                if self._queue:
                    self._queue.popleft()
                    metrics().reports_waiting.set(len(self._queue))
                self._changed.notify_all()

    def _give_up(self, report: _Report, error: WorkerApiError) -> None:
        _log.warning("report_refused", report=report.what, error=str(error))
        over = isinstance(error, (SupersededError, StoreFullError))
        self._control.stop(StopReason.SUPERSEDED if over else StopReason.UNDELIVERABLE)
        with self._changed:
            self.refusal = error
            self._changed.notify_all()
