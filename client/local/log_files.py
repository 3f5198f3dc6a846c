"""Limits the local services' logs, and frees their space before the database needs it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

LARGEST: Final = 16 * 2**20
"""Size in bytes at which a log's content moves to NAME.log.1; each service's logs take at most twice as much."""
RESERVE: Final = 256 * 2**20
"""Bytes of free space, kept for the database, below which logs are truncated."""
_LEFT: Final = 256 * 2**10  # bytes kept of each log's end when space is low


def keep_small(folder: Path, *, largest: int = LARGEST, reserve: int = RESERVE) -> None:
    """Rotate logs longer than `largest` bytes; truncate all while less than `reserve` bytes are free.

    Writers append, so they continue at the new end. A log that cannot be changed is left for the next call.
    """
    for path in folder.glob("*.log"):
        with suppress(OSError):
            if path.stat().st_size > largest:
                _rotate(path)
    with suppress(OSError):
        if shutil.disk_usage(folder).free < reserve:
            _shrink(folder)


def _rotate(path: Path) -> None:
    older = path.with_suffix(".log.1")
    try:
        shutil.copyfile(path, older)
        older.chmod(0o600)
    except OSError:  # no room for both
        older.unlink(missing_ok=True)
    os.truncate(path, 0)


def _shrink(folder: Path) -> None:
    for older in folder.glob("*.log.1"):
        older.unlink(missing_ok=True)
    for path in folder.glob("*.log"):
        if path.stat().st_size <= 2 * _LEFT:
            continue
        with path.open("rb+") as file:
            file.seek(-_LEFT, os.SEEK_END)
            end = file.read().partition(b"\n")[2]
            file.truncate(0)
        with path.open("ab") as file:
            file.write(end)
