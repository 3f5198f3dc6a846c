"""Streams a multipart form with an archive; folders are packed while they are sent, without a temporary file."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

_BLOCK: Final = 1 << 18


class Upload:
    """Content of an httpx request. path: an archive, or a folder to send as a tar.

    fields: of the form; None is left out. progress: called with the bytes sent so far. Raises FileNotFoundError on
    construction.
    """

    def __init__(self, path: Path, fields: dict[str, Any], progress: Callable[[int], None]) -> None:
        if not path.exists():
            raise FileNotFoundError(2, "there is no such file or folder", str(path))
        self._path, self._progress = path, progress
        self._fields = {name: str(value) for name, value in fields.items() if value is not None}
        self._boundary = secrets.token_hex(16)

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __iter__(self) -> Iterator[bytes]:
        for name, value in self._fields.items():
            yield self._head(f'name="{name}"') + value.encode() + b"\r\n"
        yield self._head('name="file"; filename="archive"')
        sent = 0
        for block in _packed(self._path) if self._path.is_dir() else _blocks(self._path):
            yield block
            sent += len(block)
            self._progress(sent)
        yield f"\r\n--{self._boundary}--\r\n".encode()

    def _head(self, disposition: str) -> bytes:
        return f"--{self._boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _packed(folder: Path) -> Iterator[bytes]:
    """A tar of the folder's files in name order; links are followed, hidden files skipped."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w|", dereference=True) as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if any(part.startswith(".") for part in inside.parts) or not path.is_file():
                continue
            archive.add(path, inside.as_posix(), recursive=False, filter=_anonymous)
            if sink.tell() > _BLOCK:
                yield sink.getvalue()
                sink.seek(0)
                sink.truncate()
    yield sink.getvalue()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Drop owner and modification time."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
