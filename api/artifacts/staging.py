"""Gives each process a folder of its own for files in the making, and removes those of processes that have died."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# For what no lock tells of: files of a request, and file systems without locks.
_ABANDONED_SECONDS: Final = 24 * 3600.0


class Incoming:
    """A folder below `shared`, locked for as long as this object, and so at most this process, lives."""

    def __init__(self, shared: Path) -> None:
        """Raises OSError."""
        shared.mkdir(parents=True, exist_ok=True)
        # Else another process could take a folder that is not locked yet for one of the dead.
        with _locked(shared):
            for leftover in shared.iterdir():
                if _is_abandoned(leftover):
                    _remove(leftover)
            self.folder = Path(tempfile.mkdtemp(dir=shared))
            self._lock = os.open(self.folder, os.O_RDONLY)
            with suppress(OSError):  # no locks here: its age has to tell
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            os.close(self._lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_abandoned(path: Path) -> bool:
    """Whether no process writes there any more: the lock of a process's folder tells, else its age."""
    try:
        is_old = path.stat().st_mtime < time.time() - _ABANDONED_SECONDS
        if not path.is_dir():
            return is_old
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return is_old
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
