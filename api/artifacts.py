"""The artifact store: checkpoints and data sets as files in one directory.

Nothing half-written is ever visible under its key.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO
from uuid import UUID

from api.problems import ProblemError

# No room, no quota left, or a read-only file system after an I/O error: the same to whoever uploads.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_GATHER = 1 << 20


class StoreFullError(Exception):
    """The store cannot take the file; what was written of it is gone again."""


@dataclass(frozen=True)
class Stored:
    """A file in the store. `size` in bytes."""

    key: str
    sha256: str
    size: int


class Artifacts:
    """Files under `root`, one folder a job, one below it an attempt: a late attempt can overwrite nothing.

    What people upload lies under `uploads`.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root, self._max_bytes = root, max_bytes

    def prepare(self) -> None:
        """Make the directories and clear away what a killed process left half-written."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)

    @property
    def _incoming(self) -> Path:
        return self._root / "incoming"

    @staticmethod
    def key(job_id: UUID, attempt: int, name: str) -> str:
        """Where an attempt's file lies. `name` has been checked to be a plain file name."""
        return f"{job_id}/{attempt}/{name}"

    def file(self, key: str) -> Path:
        """Where a file lies, or would."""
        return self._root / key

    def path(self, key: str) -> Path:
        """The file's path. Raises ProblemError 404 when it is gone."""
        path = self.file(key)
        if not path.is_file():
            raise ProblemError(404, f"the file {key} is no longer in the store")
        return path

    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """Write a stream to `key`, whole or not at all.

        declared: the size in bytes that the sender announced, if it did. Raises ProblemError 413 when it is too
        large, StoreFullError when there is no room.
        """
        if declared is not None:
            self._check_room(declared)
        digest, size = hashlib.sha256(), 0
        temporary: Path | None = None
        try:
            with NamedTemporaryFile(dir=self._incoming, delete=False) as file:
                temporary = Path(file.name)
                async for block in _gathered(chunks):
                    size += len(block)
                    if size > self._max_bytes:
                        raise self._too_large(size)
                    digest.update(block)
                    # A write may wait for the disk: not on the event loop's time.
                    await asyncio.to_thread(file.write, block)
                await asyncio.to_thread(_settle, file.fileno(), file.flush)
            await asyncio.to_thread(_publish, temporary, self._root / key)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StoreFullError(f"the artifact store has no room left ({error.strerror})") from error
            raise
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        return Stored(key, digest.hexdigest(), size)

    def _check_room(self, declared: int) -> None:
        if declared > self._max_bytes:
            raise self._too_large(declared)
        free = shutil.disk_usage(self._incoming).free
        if declared > free:
            raise StoreFullError(f"the artifact store has {free:,} bytes free, the file has {declared:,}")

    def _too_large(self, size: int) -> ProblemError:
        return ProblemError(413, f"the file has {size:,} bytes or more; at most {self._max_bytes:,} are taken")

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory on the store's disk for files in the making, gone afterwards."""
        with TemporaryDirectory(dir=self._incoming, ignore_cleanup_errors=True) as directory:
            yield Path(directory)

    def adopt(self, path: Path, key: str) -> None:
        """Take a finished file out of a workspace into the store. Blocks until it is on the disk."""
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        _publish(path, self.file(key))

    def remove_older(self, folder: str, before: float) -> None:
        """Remove files that were last written before a time (seconds since 1970)."""
        for path in self.file(folder).glob("*"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    async def look(self, key: str) -> Stored | None:
        """A stored file, its checksum read afresh; None when there is none."""
        try:
            return await asyncio.to_thread(_look, self._root, key)
        except FileNotFoundError:
            return None

    async def move(self, key: str, to: str) -> None:
        """Rename a stored file, over another one if there is one."""
        await asyncio.to_thread(_publish, self._root / key, self._root / to)

    async def link(self, key: str, to: str) -> None:
        """Store the file under a second key: neither goes with the other. 404 when it is gone."""
        await asyncio.to_thread(_link, self.path(key), self._root / to)

    async def derived(self, key: str, suffix: str, make: Callable[[Path, IO[bytes]], None]) -> Stored:
        """The file made out of another one, beside it; made when it is asked for first. It goes with its original.

        make: gets the original's path and the open file to write to.
        """
        path, made = self.path(key), f"{key}{suffix}"
        if not (self._root / made).is_file():
            await asyncio.to_thread(self._derive, path, self._root / made, make)
        stored = await self.look(made)
        if stored is None:
            raise ProblemError(404, f"the file {key} is no longer in the store")
        return stored

    def _derive(self, path: Path, to: Path, make: Callable[[Path, IO[bytes]], None]) -> None:
        temporary: Path | None = None
        try:
            with NamedTemporaryFile(dir=self._incoming, delete=False) as file:
                temporary = Path(file.name)
                make(path, file)
                _settle(file.fileno(), file.flush)
            _publish(temporary, to)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise ProblemError(507, f"the artifact store has no room left ({error.strerror})") from error
            raise
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    async def delete(self, keys: Collection[str]) -> None:
        """Remove files and what was derived from them; one that is gone already is fine."""
        for key in keys:
            await asyncio.to_thread(_remove, self._root / key)

    async def delete_job(self, job_id: UUID) -> None:
        """Remove all files of a job."""
        await asyncio.to_thread(shutil.rmtree, self._root / str(job_id), ignore_errors=True)

    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        """Remove what earlier attempts left without a row: uploads whose report never came."""
        await asyncio.to_thread(self._keep_only, job_id, set(keys), before_attempt)

    def _keep_only(self, job_id: UUID, keys: set[str], before_attempt: int) -> None:
        for path in (self._root / str(job_id)).glob("*/*"):
            if int(path.parent.name) < before_attempt and path.relative_to(self._root).as_posix() not in keys:
                path.unlink(missing_ok=True)


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger blocks: fewer trips to the writing thread."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _GATHER:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _settle(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)


def _publish(temporary: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(final)
    # The rename itself must outlive a power cut, or a row would point at nothing.
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, to)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        shutil.copyfile(path, to)


def _remove(path: Path) -> None:
    for found in (*path.parent.glob(f"{path.name}.*"), path):
        found.unlink(missing_ok=True)


def _look(root: Path, key: str) -> Stored:
    with (root / key).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Stored(key, sha256, os.fstat(file.fileno()).st_size)
