"""Restarts a child whenever it ends, with a growing delay."""

import threading
from collections.abc import Callable
from contextlib import suppress

from darts_core.runtime.backoff import Backoff
from darts_core.runtime.process import Process

STABLE = 10.0  # seconds; a child that ran this long counts as healthy again


def keep_running(process: Process, stopping: threading.Event, report: Callable[[str], None]) -> threading.Thread:
    """Supervise a started process in a thread of its own until `stopping` is set or the process is stopped."""
    thread = threading.Thread(
        target=_supervise, args=(process, stopping, report), name=f"keep-{process.name}", daemon=True
    )
    thread.start()
    return thread


def _supervise(process: Process, stopping: threading.Event, report: Callable[[str], None]) -> None:
    backoff = Backoff(longest=10.0)
    while True:
        process.wait()
        if process.age >= STABLE:
            backoff.reset()
        if stopping.wait(delay := backoff.pause()):
            return
        where = f", log: {process.log}" if process.log is not None else ""
        ending = f"{process.name} ended (exit code {process.code}{where})"
        try:
            if not process.start():
                return
            outcome = f"started again after {delay:.1f} s"
        except Exception as error:  # whatever it is: without this thread the child would stay away
            outcome = f"not started again yet: {error}"
        with suppress(Exception):  # no room for a log line, no terminal any more
            report(f"{ending}; {outcome}")
