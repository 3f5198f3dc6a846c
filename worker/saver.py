"""Writes checkpoints to the worker's disk one by one, in a thread beside the training."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from worker.control import AttemptControl, StopReason

Write = Callable[[Path], str]
"""Writes a file and returns its sha256."""


class Saver:
    """One saving thread: the next epoch does not wait for a large checkpoint on a slow disk."""

    def __init__(self, control: AttemptControl) -> None:
        self._control = control
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saver")
        self._last: Future[None] | None = None

    def save(self, write: Write, path: Path, then: Callable[[str], None]) -> None:
        """Write the file, then call `then` with its sha256, in the saver's thread.

        Waits for the write before, so that at most one checkpoint is held in memory. A failure stops the training; the
        next call or `settle` raises it.
        """
        self.settle()
        self._last = self._thread.submit(self._save, write, path, then)

    def settle(self) -> None:
        """Wait until the last file is written. Raises OSError, for example of a full disk."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """End the thread after its current write."""
        self._thread.shutdown()

    def _save(self, write: Write, path: Path, then: Callable[[str], None]) -> None:
        try:
            sha256 = write(path)
        except BaseException:
            self._control.stop(StopReason.UNSAVED)
            raise
        then(sha256)
