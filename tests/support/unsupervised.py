"""Starts one of the service's servers without supervision, so that only the test starts it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from client.local.data_directory import DataDirectory
from darts_core.runtime.process import Spawner


class Server(Protocol):
    def start(self) -> object: ...

    def stop(self) -> object: ...


S = TypeVar("S", bound=Server)


@contextmanager
def unsupervised(server: Callable[[DataDirectory, Spawner], S], data: Path) -> Iterator[S]:
    """Running, with its files in an empty folder."""
    directory, spawner = DataDirectory(data), Spawner()
    started = server(directory, spawner)
    started.start()
    yield started
    started.stop()
    spawner.close()
    directory.release()
