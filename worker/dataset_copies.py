"""Clears a machine's copies of uploaded data sets, the least recently used first, never one in use."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from darts_core.data.catalogue import upload_path

_log = structlog.get_logger(__name__)
# A copy, and a part of one that a broken download has left.
_SUFFIXES: Final = (".safetensors", ".part")
_DAY: Final = 86_400.0


@dataclass(frozen=True)
class Copy:
    """A copy on this machine. size: in bytes, of its files. used_at: seconds since 1970."""

    checksum: str
    size: int
    used_at: float


@contextmanager
def in_use(data_root: Path, checksum: str) -> Iterator[None]:
    """Keep the copy, which may have to be fetched yet, from being cleared by any worker of this machine."""
    mark = _mark(data_root, checksum)
    mark.parent.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        os.utime(mark)
        try:
            yield
        finally:
            os.utime(mark)


def copies(data_root: Path) -> list[Copy]:
    """All copies, the least recently used first."""
    found: dict[str, list[os.stat_result]] = {}
    for path in (data_root / "uploads").glob("*"):
        if path.suffix in _SUFFIXES:
            with suppress(FileNotFoundError):  # another worker has cleared it
                found.setdefault(path.stem, []).append(path.stat())
    listed = []
    for checksum, files in found.items():
        used_at = max(file.st_mtime for file in files)
        with suppress(FileNotFoundError):  # fetched by an earlier version
            used_at = _mark(data_root, checksum).stat().st_mtime
        listed.append(Copy(checksum, sum(file.st_size for file in files), used_at))
    return sorted(listed, key=lambda copy: copy.used_at)


def clear(data_root: Path, *, days: float | None, most_bytes: int | None) -> list[Copy]:
    """Delete the copies that were not used for so many days, and of the others as many as are above the limit; returns
    them. None: no such limit.
    """
    found = copies(data_root)
    total, oldest = sum(copy.size for copy in found), time.time() - (days or 0) * _DAY
    cleared = []
    for copy in found:
        is_old = days is not None and copy.used_at < oldest
        is_too_much = most_bytes is not None and total > most_bytes
        if (is_old or is_too_much) and _delete(data_root, copy.checksum):
            total -= copy.size
            cleared.append(copy)
            _log.info("dataset_copy_cleared", checksum=copy.checksum, bytes=copy.size)
    return cleared


def _delete(data_root: Path, checksum: str) -> bool:
    """Delete the copy unless it is in use."""
    with _mark(data_root, checksum).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        for suffix in _SUFFIXES:
            upload_path(data_root, checksum).with_suffix(suffix).unlink(missing_ok=True)
    return True


def _mark(data_root: Path, checksum: str) -> Path:
    """The file by whose lock users keep the copy, and whose time is that of its last use. It stays."""
    return upload_path(data_root, checksum).with_suffix(".used")
