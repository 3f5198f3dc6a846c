"""Gives each process an incoming folder of its own and removes the folders of dead processes."""

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

# Applies to files that no lock covers: those of requests, and all on file systems without locks.
_ABANDONED_SECONDS: Final = 24 * 3600.0


class Incoming:
    """A folder below `shared`, locked for the lifetime of this object."""

    def __init__(self, shared: Path) -> None:
        shared.mkdir(parents=True, exist_ok=True)
        # Otherwise another process could see a new folder before it is locked and remove it.
        with _locked(shared):
            for leftover in shared.iterdir():
                if _is_abandoned(leftover):
                    _remove(leftover)
            self.folder = Path(tempfile.mkdtemp(dir=shared))
            self._lock = os.open(self.folder, os.O_RDONLY)
            with suppress(OSError):  # no locks on this file system: the folder's age decides
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
    """Whether no process uses the path: decided by its lock, or by its age without one."""
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
