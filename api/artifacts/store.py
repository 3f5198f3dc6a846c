"""Defines the interface of an artifact store in a directory or a bucket.

A key never shows a partial file. A file is written before the row that names it and deleted after that row. Keys are
paths `job/attempt/checksum-name`; the checksum keeps an upload from overwriting another file. `uploads/` and
`datasets/` hold the users' files.
"""

from __future__ import annotations

import asyncio
import copy
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, ParamSpec, Self, TypeVar
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from api.artifacts.errors import gone
from api.http.problems import ProblemError

# Holds incoming and temporary files; leftovers are removed.
INCOMING: Final = "incoming"
_log = structlog.get_logger(__name__)
_GATHER: Final = 1 << 20
_THREADS: Final = 4
Make = Callable[[Path, Path], Awaitable[None]]
"""Derives a file: takes the original's path and the path to write to."""
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Stored:
    """A stored file. size: in bytes."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Found:
    """A file in a listing. size: in bytes. changed: seconds since 1970."""

    size: int
    changed: float


@dataclass(frozen=True)
class Remote:
    """A file that is not on this machine. read: yields its bytes from a start offset up to a stop offset."""

    read: Callable[[int, int], AsyncIterator[bytes]]


class Artifacts(ABC):
    """The interface of a store.

    Raises ProblemError 503 if the store is unavailable, 404 for a missing file and StoreFullError (507) without space.
    """

    # Whether the store itself detects damage and reading a file is a transfer.
    remote: ClassVar[bool] = False

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    def apart(self, name: str) -> Self:
        """The same store on separate threads, so that slow background work does not block requests."""
        other = copy.copy(self)
        other._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"store-{name}")
        return other

    async def _in_thread(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    @staticmethod
    def key(job_id: UUID, attempt: int, name: str, sha256: str) -> str:
        """The key of an attempt's file. `name` must be a plain file name."""
        return f"{job_id}/{attempt}/{sha256}-{name}"

    @staticmethod
    def arriving() -> str:
        """A new key for a file whose checksum and use are not known yet."""
        return f"{INCOMING}/{uuid7()}"

    @abstractmethod
    def prepare(self) -> None:
        """Create folders and remove the partial files of killed processes. Call before any other method."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """The free space; None if it is unknown."""

    @abstractmethod
    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """Write a stream to `key`, entirely or not at all.

        declared: the size in bytes announced by the sender, if any. Raises ProblemError 413 for a file past the limit.
        """

    @abstractmethod
    async def stat(self, key: str, *, afresh: bool = False) -> Stored | None:
        """A stored file with the checksum of its present bytes; None if it is missing.

        afresh: read the bytes even if the file looks unchanged since its checksum was computed.
        """

    @abstractmethod
    async def size(self, key: str) -> int | None:
        """The size of a stored file in bytes, without reading it; None if it is missing."""

    @abstractmethod
    async def find(self, key: str) -> Path | Remote:
        """The file's path or a Remote, to send to a client. Raises ProblemError 404."""

    @abstractmethod
    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The file as a local path, for the duration of the context. Raises ProblemError 404."""

    @abstractmethod
    def workspace(self) -> AbstractContextManager[Path]:
        """A temporary directory, removed at the end of the context."""

    @abstractmethod
    async def adopt(self, path: Path, key: str) -> None:
        """Move a finished file from a workspace into the store."""

    @abstractmethod
    async def move(self, key: str, to: str) -> None:
        """Rename a stored file, replacing an existing one. Raises ProblemError 404."""

    @abstractmethod
    async def link(self, key: str, to: str) -> None:
        """Store the file under a second key; deleting one key leaves the other. Raises ProblemError 404."""

    async def derived(self, key: str, suffix: str, make: Make) -> Stored:
        """The file at `key` + `suffix`, made on the first call. It is deleted together with its original."""
        made = f"{key}{suffix}"
        if (stored := await self.stat(made)) is not None:
            return stored
        async with self.local(key) as path:
            with self.workspace() as work:
                await make(path, work / "made")
                await self.adopt(work / "made", made)
        stored = await self.stat(made)
        if stored is None or await self.size(key) is None:  # the original was deleted in the meantime
            await self.delete([made])
            raise gone(key)
        return stored

    @abstractmethod
    async def delete(self, keys: Collection[str]) -> None:
        """Delete files and their derived files; missing ones are ignored."""

    async def discard(self, keys: Collection[str]) -> None:
        """Delete files that no row names any more. A failure only wastes space, so it is logged."""
        for key in keys:
            try:
                await self.delete([key])
            except ProblemError as error:
                _log.warning("file_not_removed", key=key, error=error.detail)

    @abstractmethod
    async def delete_job(self, job_id: UUID) -> None:
        """Delete all files of a job."""

    @abstractmethod
    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        """Delete files of earlier attempts that are not in `keys`: uploads that were never reported."""

    @abstractmethod
    async def remove_older(self, folder: str, before: float, keep: Collection[str] = ()) -> None:
        """Delete the files of a folder last written before a time (seconds since 1970), except `keys`."""

    @abstractmethod
    async def files(self) -> dict[str, Found]:
        """All stored files by key, without incoming ones."""

    def _too_large(self, size: int) -> ProblemError:
        return ProblemError(413, f"the file has at least {size:,} bytes; the limit is {self._max_bytes:,}")


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of at least a megabyte, for fewer writes."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _GATHER:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
