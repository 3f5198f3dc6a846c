"""Downloads files: resumes partial downloads, verifies checksums, and renames complete files into place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from errno import ENOENT
from pathlib import Path

import httpx

from api.schemas.jobs import JobKind, JobOut
from client.connection import Connection
from client.errors import DownloadError, ProblemError

_BLOCK = 1 << 20
_TIMEOUT = httpx.Timeout(30, connect=5, read=60)


def download(connection: Connection, path: str, to: Path) -> Path:
    """Save the file at URL path `path` into the folder `to`, under the service's name for it, or as the file `to`.

    Raises DownloadError when its checksum differs from the service's ETag.
    """
    if not to.is_dir() and not to.absolute().parent.is_dir():
        raise FileNotFoundError(ENOENT, "there is no such folder", str(to.parent))
    with connection.stream(path, timeout=_TIMEOUT) as answer:
        sha256 = answer.headers.get("etag", "").strip('"')
        target = to / _name_in(answer) if to.is_dir() else to
        partial = target.with_name(f".{target.name}.{sha256[:12]}.part")
        # A shorter part is continued; a part of full length is either complete or corrupt.
        begun = partial.exists() and 0 < partial.stat().st_size < int(answer.headers.get("content-length", 0))
        if not begun and not (partial.exists() and _sha256(partial) == sha256):
            partial.unlink(missing_ok=True)
            _append(answer, partial)
    if begun:
        _continue(connection, path, partial, sha256)
    arrived = _sha256(partial)
    if arrived != sha256:
        partial.unlink()
        raise DownloadError(f"{target.name} arrived with checksum {arrived}, the service has {sha256}: try again")
    partial.replace(target)
    return target


def job_with_file(tree: JobOut, children: Sequence[JobOut]) -> JobOut:
    """The ensemble job whose file a study or a committee offers.

    Raises ProblemError 404, naming the children with files, when there is none.
    """
    for child in children:
        if child.kind == JobKind.ENSEMBLE:
            return child
    trained = [f"{c.id} ({c.stage})" for c in children if c.kind == JobKind.EVALUATION and c.status == "succeeded"]
    named = f"give the id of one of its jobs: {', '.join(trained[:10])}" if trained else "no training of it has ended"
    raise ProblemError(404, f"a {tree.kind} has no file of its own: {named}")


def _continue(connection: Connection, path: str, partial: Path, sha256: str) -> None:
    have = partial.stat().st_size
    # If-Range: the service sends the whole file if it has changed.
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{sha256}"'}
    with connection.stream(path, timeout=_TIMEOUT, headers=headers) as answer:
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            partial.unlink()
        _append(answer, partial)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _append(answer: httpx.Response, partial: Path) -> None:
    with partial.open("ab") as file:
        for block in answer.iter_bytes(_BLOCK):
            file.write(block)


def _name_in(answer: httpx.Response) -> str:
    """The file name in Content-Disposition, if it is a plain one."""
    found = re.search(r'filename="([A-Za-z0-9][A-Za-z0-9._-]*)"', answer.headers.get("content-disposition", ""))
    if found is None:
        raise DownloadError("the service gave no usable file name: name the file yourself")
    return found[1]
