import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from api.artifacts import Artifacts, StoreFullError
from api.problems import ProblemError


async def _stream(*blocks: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
    if then is not None:
        raise then


@pytest.fixture
def store(tmp_path: Path) -> Artifacts:
    artifacts = Artifacts(tmp_path, max_bytes=1000)
    artifacts.prepare()
    return artifacts


def _files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_a_stream_that_breaks_off_leaves_nothing(store: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        asyncio.run(store.put("job/1/a.pt", _stream(b"half", then=ConnectionResetError()), None))
    assert _files(tmp_path) == []


def test_a_stored_file_is_whole_under_its_key(store: Artifacts, tmp_path: Path) -> None:
    stored = asyncio.run(store.put("job/1/a.pt", _stream(b"ab", b"cd"), None))
    assert store.path("job/1/a.pt").read_bytes() == b"abcd"
    assert stored.size == 4
    assert asyncio.run(store.look("job/1/a.pt")) == stored
    assert asyncio.run(store.look("job/1/b.pt")) is None


def test_a_file_that_is_too_large_is_refused_announced_or_not(store: Artifacts, tmp_path: Path) -> None:
    for declared in (2000, None):
        with pytest.raises(ProblemError) as refused:
            asyncio.run(store.put("job/1/a.pt", _stream(b"x" * 1500), declared))
        assert refused.value.status == 413
    assert _files(tmp_path) == []


def test_a_file_with_no_room_for_it_is_refused_before_it_is_read(
    store: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(StoreFullError, match="10 bytes free"):
        asyncio.run(store.put("job/1/a.pt", _stream(then=AssertionError("was read")), 500))


def test_what_a_killed_process_left_half_written_is_cleared_at_start(store: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "incoming" / "tmpabc").write_bytes(b"half")
    store.prepare()
    assert _files(tmp_path) == []


def test_uploads_without_a_row_are_removed_and_others_kept(store: Artifacts, tmp_path: Path) -> None:
    job = uuid4()
    for attempt, name in ((1, "a.pt"), (1, "b.pt"), (2, "c.pt")):
        asyncio.run(store.put(Artifacts.key(job, attempt, name), _stream(b"x"), None))
    asyncio.run(store.keep_only(job, [Artifacts.key(job, 1, "b.pt")], before_attempt=2))
    assert _files(tmp_path) == [f"{job}/1/b.pt", f"{job}/2/c.pt"]
