"""Starts a server of the stack, or explains why it did not start."""

import signal
import time
from collections.abc import Callable

from client.local.data_directory import Secrets
from client.local.ports import Reservation
from darts_core.runtime.errors import StackError
from darts_core.runtime.process import Process

_POLL = 0.02  # seconds between two connection attempts; the server cannot notify us


class LocalServer:
    """A server on a reserved port of loopback."""

    process: Process

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._reservation = Reservation()
        self.port = self._reservation.port

    def stop(self) -> None:
        """Shut down permanently."""
        self.process.stop()
        self.release()

    def release(self) -> None:
        self._reservation.release()

    def _start(self, answers: Callable[[], bool], seconds: float) -> None:
        """Return once it answers. Raises StackError."""
        self.process.start()
        deadline = time.monotonic() + seconds
        while not answers():
            if self.process.wait(_POLL) or time.monotonic() > deadline:
                raise failure(self.process, self._secrets)


def failure(process: Process, secrets: Secrets, advice: str = "") -> StackError:
    """An error with the process's exit or silence, its last log lines, and the log's path."""
    tail = secrets.redact(process.log_tail())
    quoted = "".join(f"\n    {line}" for line in tail.splitlines()) or "\n    (nothing)"
    return StackError(f"{process.name} {_state(process)}. Its last log lines:{quoted}\n  log: {process.log}{advice}")


def _state(process: Process) -> str:
    if process.code is None:
        return f"did not answer within {process.age:.0f} s"
    if process.code < 0:
        return f"was ended by {signal.Signals(-process.code).name}"
    return f"ended with exit code {process.code}"
