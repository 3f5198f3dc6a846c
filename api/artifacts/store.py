"""What the rest of the service wants of an artifact store, wherever it lies.

Nothing half-written is ever visible under its key. Keys are paths: a folder a job, one below it an attempt, so that a
late attempt can overwrite nothing; `uploads/` and `datasets/` have what people bring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from api.problems import ProblemError

_GATHER = 1 << 20
Make = Callable[[Path, IO[bytes]], None]
"""Makes a file out of another one: gets the original's path, and the open file to write to."""


class StoreFullError(Exception):
    """The store cannot take the file; what was written of it is gone again."""


@dataclass(frozen=True)
class Stored:
    """A file in the store. `size` in bytes."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Remote:
    """A file to be sent that is not on this machine. `read`: its bytes from one place up to another."""

    read: Callable[[int, int], AsyncIterator[bytes]]


class Artifacts(ABC):
    """The contract. What cannot be reached raises ProblemError 503, what is gone 404, no room StoreFullError."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    @staticmethod
    def key(job_id: UUID, attempt: int, name: str) -> str:
        """Where an attempt's file lies. `name` has been checked to be a plain file name."""
        return f"{job_id}/{attempt}/{name}"

    @abstractmethod
    def prepare(self) -> None:
        """Get ready, and clear away what a killed process left half-written."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """The room that is left; None where nobody knows."""

    @abstractmethod
    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """Write a stream to `key`, whole or not at all.

        declared: the size in bytes that the sender announced, if it did. Raises ProblemError 413 when it is too
        large.
        """

    @abstractmethod
    async def look(self, key: str) -> Stored | None:
        """A stored file and the checksum of the bytes that are there; None when there is none."""

    @abstractmethod
    async def find(self, key: str) -> Path | Remote:
        """The file, to be sent."""

    @abstractmethod
    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The file on this machine's disk, for whoever must be given a path."""

    @abstractmethod
    def workspace(self) -> AbstractContextManager[Path]:
        """A directory for files in the making, gone afterwards."""

    @abstractmethod
    async def adopt(self, path: Path, key: str) -> None:
        """Take a finished file out of a workspace into the store."""

    @abstractmethod
    async def move(self, key: str, to: str) -> None:
        """Rename a stored file, over another one if there is one."""

    @abstractmethod
    async def link(self, key: str, to: str) -> None:
        """Store the file under a second key: neither goes with the other."""

    @abstractmethod
    async def derived(self, key: str, suffix: str, make: Make) -> Stored:
        """The file made out of another one, beside it; made when it is asked for first. It goes with its original."""

    @abstractmethod
    async def delete(self, keys: Collection[str]) -> None:
        """Remove files and what was derived from them; one that is gone already is fine."""

    @abstractmethod
    async def delete_job(self, job_id: UUID) -> None:
        """Remove all files of a job."""

    @abstractmethod
    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        """Remove what earlier attempts left without a row: uploads whose report never came."""

    @abstractmethod
    async def remove_older(self, folder: str, before: float) -> None:
        """Remove a folder's files that were last written before a time (seconds since 1970)."""

    def _too_large(self, size: int) -> ProblemError:
        return ProblemError(413, f"the file has {size:,} bytes or more; at most {self._max_bytes:,} are taken")


def gone(key: str) -> ProblemError:
    """404."""
    return ProblemError(404, f"the file {key} is no longer in the store")


def no_room(why: str | None) -> ProblemError:
    """507, for whoever is not uploading."""
    return ProblemError(507, f"the artifact store has no room left ({why})")


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger blocks: fewer trips to whoever writes them."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _GATHER:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
