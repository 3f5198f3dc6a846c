"""Real servers in temporary directories, and ways to hear of processes without polling."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client.local.data_directory import DataDirectory
from darts_core.runtime.process import Spawner

CODE = Path(__file__).parents[3]


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    spawner = Spawner()
    yield spawner
    spawner.close()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(tmp_path / "data")
    yield directory
    directory.release()


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


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


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


@pytest.fixture
def announcements(tmp_path: Path) -> Iterator[Announcements]:
    announcements = Announcements(tmp_path / "announcements")
    yield announcements
    announcements.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Runs a Python text as a supervising process of its own; its first output line is up to it."""
    running: list[subprocess.Popen[str]] = []

    def run(text: str, *arguments: str) -> "subprocess.Popen[str]":
        script = tmp_path / f"supervisor_{len(running)}.py"
        script.write_text(text)
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CODE), os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which someone else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
