"""Implements the store in an S3 bucket or another S3-compatible service, configured by the usual AWS_* variables.

Uploads are streamed in parts; the object appears only when the upload is complete.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

import obstore
from obstore.exceptions import BaseError, GenericError
from obstore.store import S3Store

from api.artifacts.checksum_cache import Known
from api.artifacts.errors import gone
from api.artifacts.store import INCOMING, Artifacts, Found, Remote, Stored, gathered
from api.http.problems import ProblemError

_PART: Final = 8 << 20
_READ: Final = 1 << 20


class BucketArtifacts(Artifacts):
    """Objects below the URL's prefix. Workspaces are in the local temporary directory."""

    remote = True

    def __init__(self, url: str, max_bytes: int) -> None:
        super().__init__(max_bytes)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        # A large file takes time, but an endpoint that does not respond is given up soon.
        options: Any = {"timeout": "1h", "connect_timeout": "5s", "allow_http": endpoint.startswith("http://")}
        self._store = S3Store.from_url(url, client_options=options)
        self._known = Known()

    def prepare(self) -> None:
        """A no-op: a lifecycle rule of the bucket removes the parts of failed uploads (docs/operations.md)."""

    def free_bytes(self) -> int | None:
        """None: S3 does not report free space."""
        return None

    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """See `Artifacts.put`; an interrupted upload is aborted."""
        if declared is not None and declared > self._max_bytes:
            raise self._too_large(declared)
        digest, size, broken = hashlib.sha256(), 0, None

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size, broken
            try:
                async for block in gathered(chunks):
                    size += len(block)
                    if size > self._max_bytes:
                        raise self._too_large(size)
                    digest.update(block)
                    yield block
            except BaseException as error:  # obstore reports the failure without its cause
                broken = error
                raise

        try:
            with _bucket_errors(), _bucket_exists():
                written = await obstore.put_async(self._store, key, counted(), chunk_size=_PART, use_multipart=True)
        except BaseException:
            if broken is not None:
                raise broken from None
            raise
        return self._known.add(Stored(key, digest.hexdigest(), size), written["e_tag"])

    async def stat(self, key: str, *, afresh: bool = False) -> Stored | None:
        """Looks the checksum up by the ETag, if this process has written or read the same object."""
        try:
            with _bucket_errors():
                found = await obstore.head_async(self._store, key)
                if not afresh and (known := self._known.find(key, found["e_tag"])):
                    return known
                digest = hashlib.sha256()
                async for block in self._read(key, 0, found["size"]):
                    digest.update(block)
        except FileNotFoundError:
            return None
        return self._known.add(Stored(key, digest.hexdigest(), found["size"]), found["e_tag"])

    async def size(self, key: str) -> int | None:
        try:
            return await self._require(key)
        except ProblemError as error:
            if error.status != 404:
                raise
            return None

    async def find(self, key: str) -> Path | Remote:
        """A Remote that reads through the service."""
        await self._require(key)
        return Remote(lambda start, stop: self._read(key, start, stop))

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """A temporary copy."""
        size = await self._require(key)
        with self.workspace() as work:
            path = work / key.rpartition("/")[2]
            with path.open("wb") as file:
                async for block in self._read(key, 0, size):
                    await self._in_thread(file.write, block)
            yield path

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory below TMPDIR."""
        with TemporaryDirectory(prefix="dartboard-", ignore_cleanup_errors=True) as directory:
            yield Path(directory)

    async def adopt(self, path: Path, key: str) -> None:
        with _bucket_errors(), _bucket_exists():
            await obstore.put_async(self._store, key, path, chunk_size=_PART)

    async def move(self, key: str, to: str) -> None:
        """Copies inside the bucket, then deletes."""
        await self.link(key, to)
        await self.delete([key])

    async def link(self, key: str, to: str) -> None:
        """Copies inside the bucket."""
        try:
            with _bucket_errors():
                await obstore.copy_async(self._store, key, to)
        except FileNotFoundError:
            raise gone(key) from None

    async def delete(self, keys: Collection[str]) -> None:
        """Derived files have the key of their original, a dot and a suffix."""
        for key in keys:
            await self._remove([key, *await self._derived_of(key)])

    async def delete_job(self, job_id: UUID) -> None:
        await self._remove(list(await self._list(str(job_id))))

    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        found = await self._list(str(job_id))
        kept = set(keys)
        await self._remove([k for k in found if int(k.split("/")[1]) < before_attempt and k not in kept])

    async def remove_older(self, folder: str, before: float, keep: Collection[str] = ()) -> None:
        """Compares with the bucket's clock."""
        found = await self._list(folder)
        await self._remove([key for key, file in found.items() if file.changed < before and key not in keep])

    async def files(self) -> dict[str, Found]:
        return {key: file for key, file in (await self._list(None)).items() if not key.startswith(f"{INCOMING}/")}

    async def _require(self, key: str) -> int:
        """The object's size. Raises ProblemError 404."""
        try:
            with _bucket_errors():
                return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError:
            raise gone(key) from None

    async def _read(self, key: str, start: int, stop: int) -> AsyncIterator[bytes]:
        if start >= stop:
            return
        with _bucket_errors():
            found = await obstore.get_async(self._store, key, options={"range": (start, stop)})
            async for block in found.stream(_READ):
                yield bytes(block)

    async def _list(self, folder: str | None) -> dict[str, Found]:
        """The files below a folder, by key."""
        found: dict[str, Found] = {}
        with _bucket_errors():
            async for batch in obstore.list(self._store, folder):
                found |= {e["path"]: Found(e["size"], e["last_modified"].timestamp()) for e in batch}
        return found

    async def _derived_of(self, key: str) -> list[str]:
        """The keys of derived files. Listings are sorted by key, so they follow soon after the original."""
        found: list[str] = []
        with _bucket_errors():
            async for batch in obstore.list(self._store, key.rpartition("/")[0], offset=key):
                for entry in batch:
                    if not entry["path"].startswith(key):
                        return found
                    if entry["path"].startswith(f"{key}."):
                        found.append(entry["path"])
        return found

    async def _remove(self, keys: Collection[str]) -> None:
        for key in keys:
            self._known.forget(key)
        with _bucket_errors():
            if keys:
                await obstore.delete_async(self._store, list(keys))


@contextmanager
def _bucket_exists() -> Iterator[None]:
    """Raise GenericError for a missing bucket, which obstore reports as a missing file."""
    try:
        yield
    except FileNotFoundError as error:
        raise GenericError(str(error)) from error


@contextmanager
def _bucket_errors() -> Iterator[None]:
    """Raise ProblemError 503 for any other failure of the bucket, which may be temporary."""
    try:
        yield
    except BaseError as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        detail = f"the artifact store is unavailable ({cause}): check ARTIFACTS_URL and the AWS_* variables"
        raise ProblemError(503, detail, headers={"Retry-After": "5"}) from error
