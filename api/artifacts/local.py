"""Implements the store in a local directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO, ParamSpec, TypeVar
from uuid import UUID

from api.artifacts.checksum_cache import Known
from api.artifacts.errors import StoreFullError, gone, unusable
from api.artifacts.staging import Incoming
from api.artifacts.store import INCOMING, Artifacts, Found, Remote, Stored, gathered

_P = ParamSpec("_P")
_R = TypeVar("_R")


class LocalArtifacts(Artifacts):
    """Files under `root`. Each is written to a temporary file, synced and renamed."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.root = root
        self._known = Known()

    def prepare(self) -> None:
        """Create this process's incoming folder and remove those of dead processes."""
        self._own_incoming = Incoming(self.root / INCOMING)

    @property
    def _incoming(self) -> Path:
        return self._own_incoming.folder

    async def _on_disk(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run the function in a thread. Raises ProblemError for a disk error."""
        try:
            return await self._in_thread(function, *args, **kwargs)
        except OSError as error:
            raise unusable(error) from error

    async def find(self, key: str) -> Path | Remote:
        """The file's path."""
        if await self.size(key) is None:
            raise gone(key)
        return self.root / key

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """The stored file itself."""
        if await self.size(key) is None:
            raise gone(key)
        yield self.root / key

    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """See `Artifacts.put`; a file that does not fit is refused before it is read."""
        if declared is not None:
            await self._on_disk(self._check_room, declared)
        digest, size = hashlib.sha256(), 0
        file = await self._on_disk(self._new_file)
        try:
            async for block in gathered(chunks):
                size += len(block)
                if size > self._max_bytes:
                    raise self._too_large(size)
                digest.update(block)
                await self._on_disk(file.write, block)
            await self._on_disk(_sync_file, file)
            await self._on_disk(_publish, Path(file.name), self.root / key)
            stored = Stored(key, digest.hexdigest(), size)
            return self._known.add(stored, _fingerprint(os.fstat(file.fileno())))
        finally:
            _discard_temporary(file)

    def _check_room(self, declared: int) -> None:
        if declared > self._max_bytes:
            raise self._too_large(declared)
        free = shutil.disk_usage(self._incoming).free
        if declared > free:
            raise StoreFullError(f"the artifact store has {free:,} bytes free; the file has {declared:,}")

    def _new_file(self) -> IO[bytes]:
        return NamedTemporaryFile(dir=self._incoming, delete=False)

    def free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._incoming).free
        except OSError:
            return None

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory on the store's file system."""
        try:
            directory = TemporaryDirectory(dir=self._incoming, ignore_cleanup_errors=True)
        except OSError as error:
            raise unusable(error) from error
        with directory as name:
            yield Path(name)

    async def adopt(self, path: Path, key: str) -> None:
        """Syncs the file, then renames it."""
        await self._on_disk(_adopt, path, self.root / key)

    async def remove_older(self, folder: str, before: float, keep: Collection[str] = ()) -> None:
        """Compares with the file system's clock."""
        await self._on_disk(_remove_older, self.root / folder, before, {self.root / key for key in keep})

    async def stat(self, key: str, *, afresh: bool = False) -> Stored | None:
        """Looks the checksum up by the file's metadata, if this process has read the same file."""
        return await self._on_disk(self._stat, key, afresh)

    def _stat(self, key: str, afresh: bool) -> Stored | None:
        try:
            with (self.root / key).open("rb") as file:
                about = os.fstat(file.fileno())
                fingerprint = _fingerprint(about)
                if not afresh and (known := self._known.find(key, fingerprint)):
                    return known
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                return self._known.add(Stored(key, sha256, about.st_size), fingerprint)
        except FileNotFoundError:
            return None

    async def files(self) -> dict[str, Found]:
        """Walks the directory."""
        return await self._on_disk(_files, self.root)

    async def size(self, key: str) -> int | None:
        return await self._on_disk(_size, self.root / key)

    async def move(self, key: str, to: str) -> None:
        if await self.size(key) is None:
            raise gone(key)
        await self._on_disk(self._move, key, to)

    def _move(self, key: str, to: str) -> None:
        with (self.root / key).open("rb") as file:
            known = self._known.find(key, _fingerprint(os.fstat(file.fileno())))
            _publish(self.root / key, self.root / to)
            self._known.forget(key)
            if known:  # the rename changed the file's ctime
                self._known.add(Stored(to, known.sha256, known.size), _fingerprint(os.fstat(file.fileno())))

    async def link(self, key: str, to: str) -> None:
        """Makes a hard link, or a copy if the file system refuses one."""
        if await self.size(key) is None:
            raise gone(key)
        await self._on_disk(self._link, self.root / key, self.root / to)

    def _link(self, path: Path, to: Path) -> None:
        """Link through the incoming folder, since a copy takes time."""
        aside = self.root / self.arriving()
        aside.parent.mkdir(exist_ok=True)
        try:
            try:
                os.link(path, aside)
            except OSError:  # no hard links on this file system, or the file has the maximum number
                shutil.copyfile(path, aside)
                _sync(aside)
            _publish(aside, to)
        finally:
            aside.unlink(missing_ok=True)

    async def delete(self, keys: Collection[str]) -> None:
        for key in keys:
            self._known.forget(key)
            await self._on_disk(_remove, self.root / key)

    async def delete_job(self, job_id: UUID) -> None:
        await self._on_disk(_remove_folder, self.root / str(job_id))

    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        await self._on_disk(self._keep_only, job_id, set(keys), before_attempt)

    def _keep_only(self, job_id: UUID, keys: set[str], before_attempt: int) -> None:
        for path in (self.root / str(job_id)).glob("*/*"):
            if int(path.parent.name) < before_attempt and path.relative_to(self.root).as_posix() not in keys:
                path.unlink(missing_ok=True)


def _discard_temporary(file: IO[bytes]) -> None:
    """Close and remove the file. Errors are ignored: an earlier one has been raised."""
    with suppress(OSError):
        file.close()
    with suppress(OSError):
        Path(file.name).unlink()


def _files(root: Path) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for folder, names, files in os.walk(root):
        if Path(folder) == root:  # a backup's bookkeeping is hidden
            names[:] = [name for name in names if name != INCOMING and not name.startswith(".")]
            files = [name for name in files if not name.startswith(".")]
        for path in (Path(folder) / name for name in files):
            with suppress(FileNotFoundError):  # deleted in the meantime
                about = path.stat()
                # A hard link to an old file counts as changed when it was created.
                changed = max(about.st_mtime, about.st_ctime)
                found[path.relative_to(root).as_posix()] = Found(about.st_size, changed)
    return found


def _sync_file(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _fingerprint(about: os.stat_result) -> tuple[int, ...]:
    return about.st_ino, about.st_mtime_ns, about.st_ctime_ns, about.st_size


def _publish(temporary: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(final)
    # Without a sync of the directory, a power failure could lose the rename and leave a row without its file.
    _sync(final.parent)


def _sync(path: Path) -> None:
    """Flush a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int | None:
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return about.st_size if stat.S_ISREG(about.st_mode) else None


def _remove(path: Path) -> None:
    for found in (*path.parent.glob(f"{path.name}.*"), path):
        found.unlink(missing_ok=True)


def _remove_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _adopt(path: Path, to: Path) -> None:
    _sync(path)
    _publish(path, to)


def _remove_older(folder: Path, before: float, keep: Collection[Path]) -> None:
    for path in folder.glob("*"):
        if path not in keep and path.is_file() and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
