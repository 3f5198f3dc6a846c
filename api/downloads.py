"""Files as HTTP answers: resumable, cacheable, checkable, streamed."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.datastructures import Headers

from api.artifacts import Artifacts, Remote, Stored
from api.models import Checkpoint
from api.problems import ProblemError, conflict, documented
from darts_core.errors import CheckpointError
from darts_core.safetensors import convert

FileFormat = Literal["torch", "safetensors"]
WantedFile = Annotated[
    FileFormat, Query(alias="format", description="safetensors: the weights alone, made when they are asked for first")
]

_MEDIA_TYPE = "application/octet-stream"
_MOST_RANGES = 20
_BINARY = {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
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
    request: Request, store: Artifacts, stored: Stored, stem: str, wanted: FileFormat = "torch", ending: str = ".pt"
) -> Response:
    """A stored checkpoint in the wanted format. 409 for safetensors of a file that has no weights to give."""
    if wanted == "torch":
        return await file_answer(request, store, stored, f"{stem}{ending}")
    try:
        converted = await store.derived(stored.key, ".safetensors", convert)
    except CheckpointError as error:
        raise conflict(f"it cannot be had as safetensors: {error}") from error
    return await file_answer(request, store, converted, f"{stem}.safetensors")


def plain_name(name: str | None) -> str:
    """A job's name as part of a file's; empty when nothing of it can be used."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-.")


async def file_answer(request: Request, store: Artifacts, stored: Stored, filename: str) -> Response:
    """A file of the store, or 304 when the caller has it. Its ETag is its sha256."""
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    headers = {
        "ETag": f'"{stored.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        # The file behind "best" or "last" changes while a job runs: ask again, but do not send it again.
        "Cache-Control": "private, no-cache",
    }
    known = request.headers.get("if-none-match", "")
    if known == "*" or stored.sha256 in re.findall(r'"([^"]*)"', known):
        return Response(status_code=304, headers=headers)
    found = await store.find(stored.key)
    if isinstance(found, Path):
        _check_range(request, stored.size)
        return FileResponse(found, media_type=_MEDIA_TYPE, filename=filename, headers=headers)
    _check_range(request, stored.size)
    named = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return _remote_answer(request, found, stored, headers | named)


def _remote_answer(request: Request, found: Remote, stored: Stored, headers: dict[str, str]) -> Response:
    """Sent on while it is read. One range is answered with that range, several with the whole, as RFC 9110 allows."""
    start, stop, status = 0, stored.size, 200
    asked = Headers(scope=request.scope)  # not what the request remembers: a Range that is none has been dropped
    wanted = _SINGLE.fullmatch(asked.get("range", ""))
    if wanted and asked.get("if-range") in (None, headers["ETag"]):
        first, last = wanted.groups()
        start = int(first) if first else max(0, stored.size - int(last))
        stop = min(stored.size, int(last) + 1) if first and last else stored.size
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        status = 206
    headers |= {"Content-Length": str(stop - start), "Accept-Ranges": "bytes"}
    if request.method == "HEAD":
        return Response(None, status, headers, media_type=_MEDIA_TYPE)
    return StreamingResponse(found.read(start, stop), status, headers, media_type=_MEDIA_TYPE)


_SINGLE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*")
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
