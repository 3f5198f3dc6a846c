"""The contract of an artifact store, for a directory and for a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO
from uuid import uuid4

import httpx
import obstore
import pytest

from api.artifacts import Artifacts, Remote, StoreFullError, open_store
from api.artifacts.bucket import BucketArtifacts
from api.artifacts.local import LocalArtifacts
from api.http.problems import ProblemError
from tests.support.s3 import new_bucket, serving_s3

LARGEST = 20_000_000


async def _stream(*blocks: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
    if then is not None:
        raise then


@dataclass(frozen=True)
class Kept:
    """A store, and what lies in it."""

    store: Artifacts
    keys: Callable[[], list[str]]

    def put(self, key: str, *blocks: bytes) -> None:
        asyncio.run(self.store.put(key, _stream(*blocks), None))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        async def read() -> bytes:
            found = await self.store.find(key)
            if isinstance(found, Remote):
                size = LARGEST if stop is None else stop
                return b"".join([block async for block in found.read(start, size)])
            return found.read_bytes()[start:stop]

        return asyncio.run(read())


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with serving_s3() as url:
        yield url


@pytest.fixture
def directory(tmp_path: Path) -> Kept:
    store = LocalArtifacts(tmp_path, LARGEST)
    store.prepare()
    return Kept(store, lambda: sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()))


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Kept:
    name, environment = new_bucket(s3)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    store = open_store(f"s3://{name}/below", Path("unused"), LARGEST)
    assert isinstance(store, BucketArtifacts)
    store.prepare()

    def keys() -> list[str]:
        open_uploads = httpx.get(f"{s3}/{name}?uploads", timeout=60).text
        assert "<Upload>" not in open_uploads
        return sorted(entry["path"] for batch in obstore.list(store._store) for entry in batch)

    return Kept(store, keys)


@pytest.fixture(params=["directory", "bucket"])
def kept(request: pytest.FixtureRequest) -> Kept:
    found: Kept = request.getfixturevalue(request.param)
    return found


def test_a_stream_that_breaks_off_leaves_nothing(kept: Kept) -> None:
    broken = _stream(b"x" * 9_000_000, b"half", then=ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        asyncio.run(kept.store.put("job/1/a.pt", broken, None))
    assert kept.keys() == []


def test_a_stored_file_is_whole_under_its_key(kept: Kept) -> None:
    content = bytes(range(256)) * 60_000
    stored = asyncio.run(kept.store.put("job/1/a.pt", _stream(content[:1000], content[1000:]), None))
    assert (stored.size, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert kept.keys() == ["job/1/a.pt"]
    assert asyncio.run(kept.store.stat("job/1/a.pt")) == stored
    assert asyncio.run(kept.store.stat("job/1/b.pt")) is None
    assert kept.read("job/1/a.pt", 1_000, 9_000_001) == content[1_000:9_000_001]


def test_an_empty_file_is_a_file(kept: Kept) -> None:
    kept.put("job/1/empty.pt")
    found = asyncio.run(kept.store.stat("job/1/empty.pt"))
    assert found is not None
    assert (found.size, kept.read("job/1/empty.pt", 0, 0)) == (0, b"")


def test_a_checksum_is_of_the_stored_bytes(kept: Kept) -> None:
    kept.put("job/1/a.pt", b"first")
    kept.put("job/1/a.pt", b"second")
    again = asyncio.run(_another(kept.store).stat("job/1/a.pt"))
    assert again is not None
    assert again.sha256 == hashlib.sha256(b"second").hexdigest()


def test_a_file_that_is_too_large_is_refused_announced_or_not(kept: Kept) -> None:
    for declared in (LARGEST + 1, None):
        with pytest.raises(ProblemError) as refused:
            asyncio.run(kept.store.put("job/1/a.pt", _stream(b"x" * LARGEST, b"x"), declared))
        assert refused.value.status == 413
    assert kept.keys() == []


def test_a_missing_artifact_is_reported_missing(kept: Kept) -> None:
    async def local() -> None:
        async with kept.store.local("job/1/a.pt"):
            pass

    for missing in (kept.store.find("job/1/a.pt"), kept.store.link("job/1/a.pt", "job/1/b.pt"), local()):
        with pytest.raises(ProblemError) as refused:
            asyncio.run(missing)
        assert refused.value.status == 404
    asyncio.run(kept.store.delete(["job/1/a.pt"]))


def test_a_file_can_be_had_as_a_path(kept: Kept) -> None:
    kept.put("job/1/a.pt", b"abcd")

    async def read() -> bytes:
        async with kept.store.local("job/1/a.pt") as path:
            return path.read_bytes()

    assert asyncio.run(read()) == b"abcd"


def test_a_finished_file_is_adopted_and_moved(kept: Kept) -> None:
    with kept.store.workspace() as work:
        (work / "made").write_bytes(b"made")
        asyncio.run(kept.store.adopt(work / "made", "datasets/made"))
    asyncio.run(kept.store.move("datasets/made", "datasets/moved"))
    assert kept.keys() == ["datasets/moved"]
    assert kept.read("datasets/moved") == b"made"


def test_neither_of_two_linked_files_goes_with_the_other(kept: Kept) -> None:
    kept.put("job/1/a.pt", b"x")
    asyncio.run(kept.store.link("job/1/a.pt", "other/0/a.pt"))
    asyncio.run(kept.store.delete_job("job"))  # type: ignore[arg-type]
    assert kept.keys() == ["other/0/a.pt"]
    assert kept.read("other/0/a.pt") == b"x"


def test_a_derived_file_is_made_once_and_goes_with_its_original(kept: Kept) -> None:
    made = []

    async def make(path: Path, to: Path) -> None:
        made.append(path)
        await asyncio.to_thread(lambda: to.write_bytes(path.read_bytes().upper()))

    for key in ("job/1/a.pt", "job/1/a.ptx", "job/1/a-b.pt"):
        kept.put(key, b"abc")
    stored = [asyncio.run(kept.store.derived("job/1/a.pt", ".safetensors", make)) for _ in range(2)]
    assert stored[0] == stored[1]
    assert stored[0].sha256 == hashlib.sha256(b"ABC").hexdigest()
    assert len(made) == 1
    asyncio.run(kept.store.delete(["job/1/a.pt"]))
    assert kept.keys() == ["job/1/a-b.pt", "job/1/a.ptx"]


def test_uploads_without_a_row_are_removed_and_others_kept(kept: Kept) -> None:
    job = uuid4()
    keys = [Artifacts.key(job, attempt, name, "0" * 64) for attempt, name in ((1, "a.pt"), (1, "b.pt"), (2, "c.pt"))]
    for key in keys:
        kept.put(key, b"x")
    asyncio.run(kept.store.keep_only(job, [keys[1]], before_attempt=2))
    assert kept.keys() == keys[1:]


def test_files_of_before_a_time_are_removed(kept: Kept) -> None:
    kept.put("uploads/a.zip", b"x")
    kept.put("other/a.zip", b"x")
    asyncio.run(kept.store.remove_older("uploads", time.time() - 60))
    asyncio.run(kept.store.remove_older("uploads", time.time() + 60, keep=["uploads/a.zip"]))
    assert kept.keys() == ["other/a.zip", "uploads/a.zip"]
    asyncio.run(kept.store.remove_older("uploads", time.time() + 60))
    assert kept.keys() == ["other/a.zip"]


def test_a_missing_bucket_is_503_with_a_hint(bucket: Kept, s3: str) -> None:
    store = open_store("s3://nowhere", Path("unused"), LARGEST)
    with pytest.raises(ProblemError, match="check ARTIFACTS_URL") as refused:
        asyncio.run(store.put("a.pt", _stream(b"x"), None))
    assert refused.value.status == 503


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "file://host/x", "/srv/artifacts"])
def test_a_url_of_no_store_is_refused_by_name(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"ARTIFACTS_URL={url}: use s3://bucket/prefix"):
        open_store(url, tmp_path, LARGEST)


def test_a_directory_can_be_given_by_url(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/a%20b", Path("unused"), LARGEST)
    store.prepare()
    assert (tmp_path / "a b" / "incoming").is_dir()


def test_a_file_with_no_room_for_it_is_refused_before_it_is_read(
    directory: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(StoreFullError, match="10 bytes free"):
        asyncio.run(directory.store.put("job/1/a.pt", _stream(then=AssertionError("was read")), 500))


def test_a_file_that_arrives_is_hashed_once_until_it_changes(
    directory: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests: list[str] = []

    def counted(file: BinaryIO, name: str) -> hashlib._Hash:
        digests.append(name)
        return hashlib.new(name, file.read())

    monkeypatch.setattr(hashlib, "file_digest", counted)
    directory.put("arriving", b"content")
    asyncio.run(directory.store.move("arriving", "job/1/a.pt"))
    stored = asyncio.run(directory.store.stat("job/1/a.pt"))
    assert stored is not None
    assert (stored.sha256, digests) == (hashlib.sha256(b"content").hexdigest(), [])
    (tmp_path / "job/1/a.pt").write_bytes(b"CONTENT")
    changed = asyncio.run(directory.store.stat("job/1/a.pt"))
    assert changed is not None
    assert (changed.sha256, len(digests)) == (hashlib.sha256(b"CONTENT").hexdigest(), 1)


def test_half_written_files_of_a_killed_process_are_cleared_at_start(directory: Kept, tmp_path: Path) -> None:
    dead = tmp_path / "incoming" / "tmpabc"
    dead.mkdir()
    (dead / "tmpdef").write_bytes(b"half")
    directory.store.prepare()
    assert directory.keys() == []


def _another(store: Artifacts) -> Artifacts:
    """The same files, seen by another process."""
    if isinstance(store, BucketArtifacts):
        other = object.__new__(BucketArtifacts)
        other.__dict__ |= store.__dict__ | {"_known": type(store._known)()}
        return other
    return store
