"""The interface of an artifact store, in a folder or in a bucket.

Nothing half-written is ever visible under its key. A file is written before the row that names it, and deleted after
that row is gone. Keys are paths: a folder a job, one below it an attempt, and in a file's name the checksum of its
bytes, so that no upload can overwrite another file; `uploads/` and `datasets/` have what people bring.
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

# Files that are arriving or in the making; leftovers are cleared away.
INCOMING: Final = "incoming"
_log = structlog.get_logger(__name__)
_GATHER: Final = 1 << 20
_THREADS: Final = 4
Make = Callable[[Path, Path], Awaitable[None]]
"""Makes a file out of another one: gets the original's path, and the path to write to."""
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Stored:
    """A file in the store. `size` in bytes."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Found:
    """A file as a listing shows it. size in bytes; changed: seconds since 1970."""

    size: int
    changed: float


@dataclass(frozen=True)
class Remote:
    """A file to be sent that is not on this machine. `read`: its bytes from one place up to another."""

    read: Callable[[int, int], AsyncIterator[bytes]]


class Artifacts(ABC):
    """The contract. What cannot be reached raises ProblemError 503, what is gone 404, no room StoreFullError (507)."""

    # Whether damage is found by the store itself, and reading a file is a transfer.
    remote: ClassVar[bool] = False

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    def apart(self, name: str) -> Self:
        """The same store on threads of its own: work for others, however slow, does not hold up its user's."""
        other = copy.copy(self)
        other._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"store-{name}")
        return other

    async def _in_thread(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    @staticmethod
    def key(job_id: UUID, attempt: int, name: str, sha256: str) -> str:
        """Where an attempt's file lies. `name` has been checked to be a plain file name."""
        return f"{job_id}/{attempt}/{sha256}-{name}"

    @staticmethod
    def arriving() -> str:
        """A new key for a file whose checksum and use are not known yet."""
        return f"{INCOMING}/{uuid7()}"

    @abstractmethod
    def prepare(self) -> None:
        """Get ready, and clear away what a killed process left half-written."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """The room that is left; None where that is not known."""

    @abstractmethod
    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """Write a stream to `key`, whole or not at all.

        declared: the size in bytes that the sender announced, if it did. Raises ProblemError 413 when it is too
        large.
        """

    @abstractmethod
    async def stat(self, key: str, *, afresh: bool = False) -> Stored | None:
        """A stored file and the checksum of the bytes that are there; None when there is none.

        afresh: read the bytes even where the file looks unchanged since its checksum was last computed.
        """

    @abstractmethod
    async def size(self, key: str) -> int | None:
        """Bytes of a stored file, without reading it; None when there is none."""

    @abstractmethod
    async def find(self, key: str) -> Path | Remote:
        """The file, to be sent."""

    @abstractmethod
    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The file on this machine's disk, for a user that must be given a path."""

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

    async def derived(self, key: str, suffix: str, make: Make) -> Stored:
        """The file made out of another one, beside it; made when it is asked for first. It goes with its original."""
        made = f"{key}{suffix}"
        if (stored := await self.stat(made)) is not None:
            return stored
        async with self.local(key) as path:
            with self.workspace() as work:
                await make(path, work / "made")
                await self.adopt(work / "made", made)
        stored = await self.stat(made)
        if stored is None or await self.size(key) is None:  # the original went meanwhile
            await self.delete([made])
            raise gone(key)
        return stored

    @abstractmethod
    async def delete(self, keys: Collection[str]) -> None:
        """Remove files and what was derived from them; one that is gone already is fine."""

    async def discard(self, keys: Collection[str]) -> None:
        """Delete files that no row names any more. One that cannot be removed costs room and is logged, no more."""
        for key in keys:
            try:
                await self.delete([key])
            except ProblemError as error:
                _log.warning("file_not_removed", key=key, error=error.detail)

    @abstractmethod
    async def delete_job(self, job_id: UUID) -> None:
        """Remove all files of a job."""

    @abstractmethod
    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        """Remove what earlier attempts left without a row: uploads whose report never came."""

    @abstractmethod
    async def remove_older(self, folder: str, before: float, keep: Collection[str] = ()) -> None:
        """Remove a folder's files that were last written before a time (seconds since 1970), but for these keys."""

    @abstractmethod
    async def files(self) -> dict[str, Found]:
        """All stored files by their keys, but for those that are arriving."""

    def _too_large(self, size: int) -> ProblemError:
        return ProblemError(413, f"the file has {size:,} bytes or more; at most {self._max_bytes:,} are taken")


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of a megabyte, so that few writes are needed."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _GATHER:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
