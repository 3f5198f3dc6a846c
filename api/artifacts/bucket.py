"""The store in an S3 bucket, or in whatever speaks S3. Credentials and endpoint come from the usual AWS_* variables.

An upload is sent on while it comes, in parts: nothing of it is visible until the last step, which shows the whole.
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
    """Objects below the URL's prefix. Files in the making lie in this machine's temporary directory."""

    remote = True

    def __init__(self, url: str, max_bytes: int) -> None:
        super().__init__(max_bytes)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        # A large file takes its time; who does not answer at all is given up soon.
        options: Any = {"timeout": "1h", "connect_timeout": "5s", "allow_http": endpoint.startswith("http://")}
        self._store = S3Store.from_url(url, client_options=options)
        self._known = Known()

    def prepare(self) -> None:
        """S3 throws parts of broken uploads away by a lifecycle rule of the bucket (docs/operations.md)."""

    def free_bytes(self) -> int | None:
        """Nobody knows."""
        return None

    async def put(self, key: str, chunks: AsyncIterator[bytes], declared: int | None) -> Stored:
        """As the contract says; what breaks off is aborted."""
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
            except BaseException as error:  # the library passes on that it failed, not why
                broken = error
                raise

        try:
            with _reached(), _there():
                written = await obstore.put_async(self._store, key, counted(), chunk_size=_PART, use_multipart=True)
        except BaseException:
            if broken is not None:
                raise broken from None
            raise
        return self._known.add(Stored(key, digest.hexdigest(), size), written["e_tag"])

    async def stat(self, key: str, *, afresh: bool = False) -> Stored | None:
        """By its ETag, where this process has written or read the same."""
        try:
            with _reached():
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
        """By its head."""
        try:
            return await self._require(key)
        except ProblemError as error:
            if error.status != 404:
                raise
            return None

    async def find(self, key: str) -> Path | Remote:
        """Read through the service."""
        await self._require(key)
        return Remote(lambda start, stop: self._read(key, start, stop))

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """A copy."""
        size = await self._require(key)
        with self.workspace() as work:
            path = work / key.rpartition("/")[2]
            with path.open("wb") as file:
                async for block in self._read(key, 0, size):
                    await self._in_thread(file.write, block)
            yield path

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """In the temporary directory (TMPDIR)."""
        with TemporaryDirectory(prefix="dartboard-", ignore_cleanup_errors=True) as directory:
            yield Path(directory)

    async def adopt(self, path: Path, key: str) -> None:
        """Upload it."""
        with _reached(), _there():
            await obstore.put_async(self._store, key, path, chunk_size=_PART)

    async def move(self, key: str, to: str) -> None:
        """A copy inside the bucket."""
        await self.link(key, to)
        await self.delete([key])

    async def link(self, key: str, to: str) -> None:
        """A copy inside the bucket."""
        try:
            with _reached():
                await obstore.copy_async(self._store, key, to)
        except FileNotFoundError:
            raise gone(key) from None

    async def delete(self, keys: Collection[str]) -> None:
        """What was derived has the same name and more behind a dot."""
        for key in keys:
            await self._remove([key, *await self._derived_of(key)])

    async def delete_job(self, job_id: UUID) -> None:
        """All below its folder."""
        await self._remove(list(await self._list(str(job_id))))

    async def keep_only(self, job_id: UUID, keys: Collection[str], before_attempt: int) -> None:
        """Keys say the attempt."""
        found = await self._list(str(job_id))
        kept = set(keys)
        await self._remove([k for k in found if int(k.split("/")[1]) < before_attempt and k not in kept])

    async def remove_older(self, folder: str, before: float, keep: Collection[str] = ()) -> None:
        """By the bucket's clock."""
        found = await self._list(folder)
        await self._remove([key for key, file in found.items() if file.changed < before and key not in keep])

    async def files(self) -> dict[str, Found]:
        """By a listing of the whole prefix."""
        return {key: file for key, file in (await self._list(None)).items() if not key.startswith(f"{INCOMING}/")}

    async def _require(self, key: str) -> int:
        """Its size. 404 when it is gone."""
        try:
            with _reached():
                return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError:
            raise gone(key) from None

    async def _read(self, key: str, start: int, stop: int) -> AsyncIterator[bytes]:
        if start >= stop:
            return
        with _reached():
            found = await obstore.get_async(self._store, key, options={"range": (start, stop)})
            async for block in found.stream(_READ):
                yield bytes(block)

    async def _list(self, folder: str | None) -> dict[str, Found]:
        """What lies below a folder, by its keys."""
        found: dict[str, Found] = {}
        with _reached():
            async for batch in obstore.list(self._store, folder):
                found |= {e["path"]: Found(e["size"], e["last_modified"].timestamp()) for e in batch}
        return found

    async def _derived_of(self, key: str) -> list[str]:
        """A listing is in the names' order: they follow soon."""
        found: list[str] = []
        with _reached():
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
        with _reached():
            if keys:
                await obstore.delete_async(self._store, list(keys))


@contextmanager
def _there() -> Iterator[None]:
    """Who writes and finds nothing, has no bucket."""
    try:
        yield
    except FileNotFoundError as error:
        raise GenericError(str(error)) from error


@contextmanager
def _reached() -> Iterator[None]:
    """503 for whatever a bucket fails with: it is nobody's fault who asks, and may be over in a moment."""
    try:
        yield
    except BaseError as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        detail = (
            f"the artifact store cannot be used at the moment ({said}): check ARTIFACTS_URL and the AWS_* variables"
        )
        raise ProblemError(503, detail, headers={"Retry-After": "5"}) from error
