"""Ways to hear of other processes without polling."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

CODE = Path(__file__).parents[2]


class Watch:
    """Processes that are watched by descriptor: their number may be given away, their end is never missed."""

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}

    def add(self, pid: int) -> None:
        self._descriptors[pid] = os.pidfd_open(pid)

    def all_ended(self, seconds: float = 20.0) -> bool:
        """Whether all end within the time."""
        deadline = time.monotonic() + seconds
        for descriptor in self._descriptors.values():
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return False
        return True

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


class Announcements:
    """A pipe by name into which children write a line at what happens to them."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._pipe = os.open(path, os.O_RDWR)  # both ways, so that it has no end while writers come and go
        self._rest = b""

    def next(self, seconds: float = 20.0) -> str:
        while b"\n" not in self._rest:
            if not select.select([self._pipe], [], [], seconds)[0]:
                raise TimeoutError("nothing was announced")
            self._rest += os.read(self._pipe, 4096)
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()

    def close(self) -> None:
        os.close(self._pipe)
