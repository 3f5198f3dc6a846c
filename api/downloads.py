"""Files as HTTP answers: resumable, cacheable, checkable, streamed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse

from api.artifacts import Artifacts, Stored
from api.models import Checkpoint
from api.problems import ProblemError, conflict, documented
from darts_core.errors import CheckpointError
from darts_core.safetensors import convert

FileFormat = Literal["torch", "safetensors"]
WantedFile = Annotated[
    FileFormat, Query(alias="format", description="safetensors: the weights alone, made when they are asked for first")
]

_MOST_RANGES = 20
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": _BINARY},
    206: {"description": "the range asked for", "content": _BINARY},
    304: {"description": "the file is the one that the caller has"},
    **documented(404, 409, 416, 507),
}


async def checkpoint_answer(
    request: Request, store: Artifacts, checkpoint: Checkpoint, name: str | None, wanted: FileFormat = "torch"
) -> Response:
    """A job's checkpoint, named after the job, so that `curl -OJ` keeps two apart."""
    stored = Stored(checkpoint.key, checkpoint.sha256, checkpoint.size)
    stem = f"{plain_name(name) or checkpoint.job_id}-epoch-{checkpoint.epoch}"
    return await stored_answer(request, store, stored, stem, wanted)


async def stored_answer(
    request: Request, store: Artifacts, stored: Stored, stem: str, wanted: FileFormat = "torch"
) -> Response:
    """A stored checkpoint in the wanted format. 409 for safetensors of a file that has no weights to give."""
    if wanted == "torch":
        return file_answer(request, store, stored, f"{stem}.pt")
    try:
        converted = await store.derived(stored.key, ".safetensors", convert)
    except CheckpointError as error:
        raise conflict(f"it cannot be had as safetensors: {error}") from error
    return file_answer(request, store, converted, f"{stem}.safetensors")


def file_answer(request: Request, store: Artifacts, stored: Stored, filename: str) -> Response:
    """A file of the store, or 304 when the caller has it."""
    return stored_file(request, lambda: store.path(stored.key), stored.sha256, stored.size, filename)


def plain_name(name: str | None) -> str:
    """A job's name as part of a file's; empty when nothing of it can be used."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-.")


def stored_file(request: Request, path: Callable[[], Path], sha256: str, size: int, filename: str) -> Response:
    """A file of the store, or 304 when the caller has it. Its ETag is its sha256.

    path: where it lies; asked only when it has to be sent.
    """
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    headers = {
        "ETag": f'"{sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        # The file behind "best" or "last" changes while a job runs: ask again, but do not send it again.
        "Cache-Control": "private, no-cache",
    }
    known = request.headers.get("if-none-match", "")
    if known == "*" or sha256 in re.findall(r'"([^"]*)"', known):
        return Response(status_code=304, headers=headers)
    found = path()
    _check_range(request, size)
    return FileResponse(found, media_type="application/octet-stream", filename=filename, headers=headers)


_RANGES = re.compile(r"bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*")


def _check_range(request: Request, size: int) -> None:
    """Drop a Range header that is none, as RFC 9110 asks; raise ProblemError 416 for one outside the file."""
    wanted = request.headers.get("range")
    if wanted is None:
        return
    ranges = [r.strip().partition("-") for r in wanted.removeprefix("bytes=").split(",")]
    legal = _RANGES.fullmatch(wanted) and all(not a or not b or int(a) <= int(b) for a, _, b in ranges)
    if not legal or len(ranges) > _MOST_RANGES:
        request.scope["headers"] = [(k, v) for k, v in request.scope["headers"] if k != b"range"]
    elif not any(int(a) < size if a else int(b) > 0 for a, _, b in ranges):
        outside = {"Content-Range": f"bytes */{size}"}
        raise ProblemError(416, f"the file has {size:,} bytes: {wanted} lies outside", headers=outside)
