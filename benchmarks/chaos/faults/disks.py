"""Fills a disk for some seconds. The disks are tmpfs mounts made for the benchmark."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks.chaos.faults.fault import Fault, Target

_SHORTEST, _LONGEST = 1.0, 4.0  # seconds
# Folders by fault, outermost first. The database lies in the data directory itself, because Postgres renames its new
# cluster within it.
_DISKS: Final = {"full_database": (".", "1g"), "full_store": ("artifacts", "512m"), "full_logs": ("logs", "64m")}


class FullDisk(Fault):
    """Fills the disk of the logs, of the artifact store, or of the database and everything else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder, _ = _DISKS[name]

    def missing(self) -> str:
        """Mounting needs root, and many containers refuse it."""
        return _reason_against_mounting()

    def strike(self, target: Target, draw: random.Random) -> bool:
        """Fill the disk, wait, free it."""
        filler = target.data / self._folder / "chaos.filler"
        seconds = draw.uniform(_SHORTEST, _LONGEST)
        try:
            _fill(filler)
            target.over.wait(seconds)
        finally:
            filler.unlink(missing_ok=True)
        return True


@contextmanager
def small_disks(data: Path) -> Iterator[None]:
    """Mount the file systems under the empty folder `data` for the duration of the block."""
    with ExitStack() as mounted:
        for folder, size in _DISKS.values():
            mounted.enter_context(_mounted(data / folder, size))
        yield


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "dartboard", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    block = bytes(1 << 20)
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(block)
    # Less than a block is left.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


def _reason_against_mounting() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "dartboard", folder]
        try:
            tried = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"mount cannot be run ({error.strerror})"
        if tried.returncode != 0:
            return f"file systems cannot be mounted here ({tried.stderr.strip()})"
        subprocess.run(["umount", folder], check=True)
    return ""
