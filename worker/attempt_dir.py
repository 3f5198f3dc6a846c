"""Keeps the running attempt's files on the worker's disk, with a trace by which a dead attempt is found."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from api.schemas.worker import Claimed


@dataclass(frozen=True)
class Leftover:
    """An attempt whose process is gone."""

    attempt_id: str
    token: str


def lock_state(state: Path) -> IO[bytes]:
    """Lock the directory against other workers while the returned file is open.

    Raises BlockingIOError when another worker holds the lock.
    """
    lock = (state / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise
    return lock


class AttemptFolder:
    """One directory for each worker process: checkpoints to upload, and the trace of the attempt."""

    def __init__(self, state: Path) -> None:
        self._path = state / "attempt"

    @property
    def _trace(self) -> Path:
        return self._path / "attempt.json"

    def open(self, claimed: Claimed) -> None:
        """Empty the folder and write the trace. Raises OSError."""
        self.clear()
        self._path.mkdir(mode=0o700, parents=True)
        trace = {"attempt_id": str(claimed.attempt_id), "token": claimed.token}
        temporary = self._trace.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(trace))
        temporary.replace(self._trace)

    def file(self, name: str) -> Path:
        return self._path / name

    def clear(self, only: Claimed | None = None) -> None:
        """Remove everything; with `only`, nothing of another attempt."""
        found = self.leftover()
        if only is None or found is None or found.attempt_id == str(only.attempt_id):
            shutil.rmtree(self._path, ignore_errors=True)

    def leftover(self) -> Leftover | None:
        """The attempt whose process died, if any."""
        try:
            trace = json.loads(self._trace.read_text())
            return Leftover(str(trace["attempt_id"]), str(trace["token"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
