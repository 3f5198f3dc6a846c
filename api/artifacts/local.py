"""The store in one directory of this machine."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Final
from uuid import UUID

from api.artifacts.incoming import Incoming
from api.artifacts.store import Artifacts, Make, Remote, Stored, StoreFullError, gathered, gone, no_room

# No room, no quota left, or a read-only file system after an I/O error: the same to whoever uploads.
INCOMING: Final = "incoming"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class LocalArtifacts(Artifacts):
    """Files under `root`, each written aside and renamed."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.root = root

    def prepare(self) -> None:
        """Take a folder for files in the making, and remove those of processes that have died."""
        self._making = Incoming(self.root / INCOMING)

    @property
    def _incoming(self) -> Path:
        return self._making.folder

    def _path(self, key: str) -> Path:
        path = self.root / key
        if not path.is_file():
            raise gone(key)
        return path

    async def find(self, key: str) -> Path | Remote:
        """Where it lies."""
        return self._path(key)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """The file itself."""
        yield self._path(key)

    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """As the contract says; a file that cannot fit is refused before it is read."""
        if declared is not None:
            self._check_room(declared)
        digest, size = hashlib.sha256(), 0
        temporary: Path | None = None
        try:
            with NamedTemporaryFile(dir=self._incoming, delete=False) as file:
                temporary = Path(file.name)
                async for block in gathered(chunks):
                    size += len(block)
                    if size > self._max_bytes:
                        raise self._too_large(size)
                    digest.update(block)
                    # A write may wait for the disk: not on the event loop's time.
                    await asyncio.to_thread(file.write, block)
                await asyncio.to_thread(_settle, file.fileno(), file.flush)
            await asyncio.to_thread(_publish, temporary, self.root / key)
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

    def free_bytes(self) -> int | None:
        """The room that is left; None when nobody knows."""
        try:
            return shutil.disk_usage(self._incoming).free
        except OSError:
            return None

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory on the store's disk for files in the making, gone afterwards."""
        with TemporaryDirectory(dir=self._incoming, ignore_cleanup_errors=True) as directory:
            yield Path(directory)

    async def adopt(self, path: Path, key: str) -> None:
        """Rename it, once it is on the disk."""
        await asyncio.to_thread(_adopt, path, self.root / key)

    async def remove_older(self, folder: str, before: float) -> None:
        """By the disk's clock."""
        await asyncio.to_thread(_remove_older, self.root / folder, before)

    async def look(self, key: str) -> Stored | None:
        """A stored file, its checksum read afresh; None when there is none."""
        try:
            return await asyncio.to_thread(_look, self.root, key)
        except FileNotFoundError:
            return None

    async def move(self, key: str, to: str) -> None:
        """Rename a stored file, over another one if there is one."""
        await asyncio.to_thread(_publish, self.root / key, self.root / to)

    async def link(self, key: str, to: str) -> None:
        """Store the file under a second key: neither goes with the other. 404 when it is gone."""
        await asyncio.to_thread(_link, self._path(key), self.root / to)

    async def derived(self, key: str, suffix: str, make: Make) -> Stored:
        """Made aside, like everything."""
        path, made = self._path(key), f"{key}{suffix}"
        if not (self.root / made).is_file():
            await asyncio.to_thread(self._derive, path, self.root / made, make)
        stored = await self.look(made)
        if stored is None:
            raise gone(key)
        return stored

    def _derive(self, path: Path, to: Path, make: Make) -> None:
        temporary: Path | None = None
        try:
            with NamedTemporaryFile(dir=self._incoming, delete=False) as file:
                temporary = Path(file.name)
                make(path, file)
                _settle(file.fileno(), file.flush)
            _publish(temporary, to)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise no_room(error.strerror) from error
            raise
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    async def delete(self, keys: Collection[str]) -> None:
        """Remove files and what was derived from them; one that is gone already is fine."""
        for key in keys:
            await asyncio.to_thread(_remove, self.root / key)

    async def delete_job(self, job_id: UUID) -> None:
        """Remove all files of a job."""
        await asyncio.to_thread(shutil.rmtree, self.root / str(job_id), ignore_errors=True)

    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        """Remove what earlier attempts left without a row: uploads whose report never came."""
        await asyncio.to_thread(self._keep_only, job_id, set(keys), before_attempt)

    def _keep_only(self, job_id: UUID, keys: set[str], before_attempt: int) -> None:
        for path in (self.root / str(job_id)).glob("*/*"):
            if int(path.parent.name) < before_attempt and path.relative_to(self.root).as_posix() not in keys:
                path.unlink(missing_ok=True)


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


def _adopt(path: Path, to: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    _publish(path, to)


def _remove_older(folder: Path, before: float) -> None:
    for path in folder.glob("*"):
        if path.is_file() and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
