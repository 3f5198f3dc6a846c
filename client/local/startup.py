"""Explains why a server did not start."""

import signal

from client.local.data_directory import Secrets
from darts_core.runtime.errors import StackError
from darts_core.runtime.process import Process


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
