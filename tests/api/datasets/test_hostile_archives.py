"""The running service refuses harmful archives with a reason, and keeps nothing of them."""

from __future__ import annotations

import io
import pickle
import stat
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from client.sdk import Dartboard
from tests.support.archives import Files, pets, picture, tar_of
from tests.support.databases import plain
from tests.support.service import Bench, Service

CANARY = "canary-of-dartboards-hostile-archives.png"
"""What every archive tries to leave somewhere."""


class _Code:
    """A pickle that leaves the canary when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(tempfile.gettempdir()) / CANARY,)


def _zip_of(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar_with(kind: bytes, target: str) -> bytes:
    """A member of this kind that is called `cat`, and a file that would be written through it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("cat")
        member.type, member.linkname, member.devmajor, member.devminor = kind, target, 1, 3
        archive.addfile(member)
        through = tarfile.TarInfo(f"cat/{CANARY}")
        through.size = len(picture(1))
        archive.addfile(through, io.BytesIO(picture(1)))
    return buffer.getvalue()


def _zip_with_link(target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("cat")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
        archive.writestr(f"cat/{CANARY}", picture(1))
    return buffer.getvalue()


def _packed(name: str) -> dict[str, bytes]:
    files = {**pets(each=10), name: picture(1)}
    return {"tar": tar_of(files), "zip": _zip_of(files)}


_TEMPORARY = tempfile.gettempdir()
HOSTILE: dict[str, Callable[[], bytes]] = {
    "path traversal, tar": lambda: _packed(f"cat/../../../../{CANARY}")["tar"],
    "path traversal, zip": lambda: _packed(f"cat/../../../../{CANARY}")["zip"],
    "absolute path, tar": lambda: _packed(f"{_TEMPORARY}/{CANARY}")["tar"],
    "absolute path, zip": lambda: _packed(f"{_TEMPORARY}/{CANARY}")["zip"],
    "symlink, tar": lambda: _tar_with(tarfile.SYMTYPE, _TEMPORARY),
    "symlink, zip": lambda: _zip_with_link(_TEMPORARY),
    "hard link": lambda: _tar_with(tarfile.LNKTYPE, "/etc/passwd"),
    "device file": lambda: _tar_with(tarfile.CHRTYPE, ""),
    "zip bomb": lambda: _zip_of({f"cat/{i}.png": bytes(30 * 2**20) for i in range(5)}),
    "tar bomb": lambda: tar_of({f"cat/{i}.png": bytes(30 * 2**20) for i in range(5)}, "w:gz"),
    "pickles for images": lambda: tar_of({f"{kind}/{i}.png": pickle.dumps(_Code()) for kind in "ab" for i in range(9)}),
    "pickle": lambda: pickle.dumps(_Code()),
    "wrong type": lambda: b"%PDF-1.7\n" + bytes(2000),
}


def _files(service: Service) -> set[Path]:
    """All files that the service keeps, but for its logs and its database; and what lies where the canary would.

    Not the folders, of which the first upload makes some that stay.
    """
    folders = [service.data / part for part in ("artifacts", "datasets", "workers")]
    kept = {path for folder in folders for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    beside = {path for path in service.data.iterdir() if path.is_file()}
    return kept | beside | set(service.data.parent.glob("*")) | set(Path(_TEMPORARY).glob("canary-*"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_data_set_is_refused_with_a_reason_and_leaves_no_file(
    http: httpx.Client, dartboard: Dartboard, service: Service, kind: str
) -> None:
    before, name = _files(service), f"hostile-{uuid4().hex[:8]}"
    answer = http.post("/datasets", data={"name": name}, files={"file": ("a.tar", HOSTILE[kind]())})
    if answer.status_code == 201:  # looked into behind the answer
        dataset = dartboard.wait_for_dataset(name)
        assert dataset.state == "failed"
        assert dataset.error
        # The upload goes once its fate is stored, and no event tells of that.
        deadline = time.monotonic() + 20
        while _files(service) - before and time.monotonic() < deadline:
            time.sleep(0.05)
    else:
        assert answer.status_code == 422
        assert answer.json()["detail"]
    assert _files(service) - before == set()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_checkpoint_is_refused_with_a_reason_and_leaves_no_file(
    http: httpx.Client, service: Service, kind: str
) -> None:
    before = _files(service)
    answer = http.post("/checkpoints", data={"genotype": "DARTS_V2"}, files={"file": ("a.pt", HOSTILE[kind]())})
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert _files(service) - before == set()


@pytest.mark.parametrize("name", [f"..%2F..%2F{CANARY}", f"%2Ftmp%2F{CANARY}", f"..%5C{CANARY}", f".{CANARY}", "%00"])
def test_a_worker_s_file_cannot_be_named_out_of_its_place(bench: Bench, service: Service, name: str) -> None:
    bench.submit()
    claimed = bench.claim().claimed
    before = _files(service)
    with service.http as http:
        answer = http.put(
            f"/worker/attempts/{claimed.attempt_id}/files/{name}",
            content=b"x",
            headers={"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": claimed.token},
        )
    assert answer.status_code in (404, 405, 422)
    assert _files(service) - before == set()


def test_an_error_that_names_a_folder_in_no_utf_8_is_stored_and_the_next_set_is_checked(
    http: httpx.Client, dartboard: Dartboard
) -> None:
    parts = {f"novels/{part}.txt": b"a b a b\n" * 9 for part in ("train", "valid", "val", "test")}
    first, second = f"hostile-{uuid4().hex[:8]}", f"behind-{uuid4().hex[:8]}"
    for name, archive in ((first, _with_folder(tar_of(parts), b"n\xff\xfeels")), (second, tar_of(pets(7000)))):
        http.post("/datasets", data={"name": name}, files={"file": ("a.tar", archive)}).raise_for_status()
    assert _state_of(dartboard, second) == "ready"
    refused = dartboard.dataset(first)
    assert refused.state == "failed"
    assert r"n\udcff\udcfeels/val.txt is a second file" in str(refused.error)


@pytest.mark.parametrize("request_", ["{}", '{"path": "x", "size": null}', '{"upload": "datasets/uploads/none"}'])
def test_a_row_that_cannot_be_checked_fails_and_holds_up_no_other(
    http: httpx.Client, dartboard: Dartboard, service: Service, request_: str
) -> None:
    broken, behind = f"broken-{uuid4().hex[:8]}", f"behind-{uuid4().hex[:8]}"
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(
            "insert into datasets (id, name, kind, request, state, body_hash) values (%s, %s, 'unknown', %s, %s, '')",
            (UUID(int=uuid4().int >> 8), broken, request_, "checking"),
        )
    http.post("/datasets", data={"name": behind}, files={"file": ("a.tar", tar_of(pets(7100)))}).raise_for_status()
    assert _state_of(dartboard, behind) == "ready"
    assert _state_of(dartboard, broken) == "failed"
    assert dartboard.dataset(broken).error


def _with_folder(archive: bytes, folder: bytes) -> bytes:
    """The tar with its folder `novels` called otherwise; each header's sum is put right."""
    blocks = [archive[i : i + 512] for i in range(0, len(archive), 512)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar":
            renamed = block.replace(b"novels", folder)
            summed = renamed[:148] + b" " * 8 + renamed[156:]
            blocks[number] = renamed[:148] + b"%06o\0 " % sum(summed) + renamed[156:]
    return b"".join(blocks)


def _state_of(dartboard: Dartboard, name: str) -> str:
    """The set's state once it has been checked, or after 20 s."""
    deadline = time.monotonic() + 20
    while (state := dartboard.dataset(name).state) == "checking" and time.monotonic() < deadline:
        time.sleep(0.05)
    return state
