"""Serves stored files with ranges, ETags and digests."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.datastructures import Headers

from api.artifacts import Artifacts, Remote, Stored
from api.artifacts.verify import flaw
from api.checkpoints.converter import SUFFIXES, Converter
from api.db.models import Checkpoint
from api.http.problems import ProblemError, documented

FileFormat = Literal["torch", "safetensors", "pytorch"]
WantedFile = Annotated[
    FileFormat,
    Query(
        alias="format",
        description="safetensors: the weights alone. pytorch: the network as a module that needs only torch and reads "
        "the weights of `format=safetensors` beside it. Both are converted on the first request",
    ),
]

_MEDIA_TYPE = "application/octet-stream"
_MOST_RANGES = 20
_BINARY = {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": _BINARY},
    206: {"description": "the requested range", "content": _BINARY},
    304: {"description": "the client's copy is current"},
    **documented(404, 409, 416, 500, 507),
}


class DownloadService:
    """Serves files of the store. A damaged file is never sent: the response is 500 with the cause."""

    def __init__(self, store: Artifacts, converter: Converter) -> None:
        self._store, self._converter = store, converter

    async def checkpoint(
        self, request: Request, checkpoint: Checkpoint, name: str | None, wanted: FileFormat = "torch"
    ) -> Response:
        """A job's checkpoint. The filename contains the job's name, so that `curl -OJ` keeps two jobs' files apart."""
        stem = f"{plain_name(name) or checkpoint.job_id}-epoch-{checkpoint.epoch}"
        return await self.stored(request, checkpoint.stored, stem, wanted)

    async def stored(
        self, request: Request, stored: Stored, stem: str, wanted: FileFormat = "torch", ending: str = ".pt"
    ) -> Response:
        """A stored checkpoint in the wanted format. 409 if the file cannot be converted."""
        if wanted == "torch" or ending == SUFFIXES[wanted]:
            return await self.file(request, stored, f"{stem}{ending}")
        await self._check(stored, digest=False)
        return await self.file(request, await self._converter.converted(stored, wanted), f"{stem}{SUFFIXES[wanted]}")

    async def file(self, request: Request, stored: Stored, filename: str) -> Response:
        """A file of the store, or 304 if the client has it. The ETag is the file's sha256."""
        headers = _headers(stored)
        known = request.headers.get("if-none-match", "")
        if known == "*" or stored.sha256 in re.findall(r'"([^"]*)"', known):
            return Response(status_code=304, headers=headers)
        found = await self._store.find(stored.key)
        await self._check(stored, digest=request.method != "HEAD")
        _check_range(request, stored.size)
        if isinstance(found, Path):
            return FileResponse(found, media_type=_MEDIA_TYPE, filename=filename, headers=headers)
        named = {"Content-Disposition": f'attachment; filename="{filename}"'}
        return _remote_response(request, found, stored, headers | named)

    async def _check(self, stored: Stored, *, digest: bool) -> None:
        if why := await flaw(self._store, stored, digest=digest):
            detail = f"the stored file {stored.key} is damaged: it {why}; dartboard check-store lists all such files"
            raise ProblemError(500, detail)


def plain_name(name: str | None) -> str:
    """A job's name as part of a filename; empty if it has no usable character."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-.")


def _headers(stored: Stored) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    return {
        "ETag": f'"{stored.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        # The file behind "best" or "last" changes while a job runs, so a cache must revalidate.
        "Cache-Control": "private, no-cache",
    }


def _remote_response(request: Request, found: Remote, stored: Stored, headers: dict[str, str]) -> Response:
    """Streams a remote file. A single range gets 206; several get the whole file, as RFC 9110 allows."""
    start, stop, status = 0, stored.size, 200
    asked = Headers(scope=request.scope)  # request.headers caches a Range that _check_range has dropped
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


# No file position has more digits, and Python refuses to parse thousands of them.
_SINGLE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_RANGES = re.compile(r"bytes=\s*(\d{1,18}-\d{0,18}|-\d{1,18})(\s*,\s*(\d{1,18}-\d{0,18}|-\d{1,18}))*\s*")


def _check_range(request: Request, size: int) -> None:
    """Drop a malformed Range header, as RFC 9110 requires; raise ProblemError 416 for one outside the file."""
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
