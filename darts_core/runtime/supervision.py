"""Restarts a child process whenever it ends, with growing delays."""

import threading
from collections.abc import Callable
from contextlib import suppress

from darts_core.runtime.backoff import Backoff
from darts_core.runtime.process import Process

STABLE = 10.0  # seconds; a child that ran this long resets the delay


def keep_running(process: Process, stopping: threading.Event, report: Callable[[str], None]) -> threading.Thread:
    """Supervise a started process in a separate thread until `stopping` is set or the process is stopped."""
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
        except Exception as error:  # any error: without this thread the child would stay down
            outcome = f"not started again yet: {error}"
        with suppress(Exception):  # disk full, or no terminal
            report(f"{ending}; {outcome}")
