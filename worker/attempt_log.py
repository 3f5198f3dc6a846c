"""Sends the log lines of a running job to the API."""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime
from typing import Literal

from api.schemas.worker import LogEntry, LogReport
from darts_core.printable import storable
from worker.reporter import Reporter

_TAIL = 50
_Level = Literal["debug", "info", "warning", "error"]


class AttemptLog(logging.Handler):
    """A logging handler that reports each line and keeps the last ones for the report of a failure."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter
        self.tail: deque[str] = deque(maxlen=_TAIL)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line. Never raises."""
        try:
            self._report(record)
        except Exception:  # for example arguments that do not fit the message
            self.handleError(record)

    def _report(self, record: logging.LogRecord) -> None:
        message = storable(record.getMessage())[:10_000]
        self.tail.append(f"{record.levelname} {message}")
        entry = LogEntry(
            time=datetime.fromtimestamp(record.created, UTC), level=_level_of(record.levelno), message=message
        )
        self._reporter.send("log", lambda api, n: api.report_logs(LogReport(n=n, lines=[entry])))


def _level_of(number: int) -> _Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
