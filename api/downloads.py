"""Files as HTTP answers: resumable, cacheable, checkable, streamed."""

from __future__ import annotations

import base64
import re
from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse

from api.artifacts import Artifacts
from api.models import Checkpoint
from api.problems import documented

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": _BINARY},
    206: {"description": "the range asked for", "content": _BINARY},
    304: {"description": "the file is the one that the caller has"},
    416: {"description": "the range lies outside the file"},
    **documented(400, 404, 409),
}


def file_answer(request: Request, store: Artifacts, checkpoint: Checkpoint, name: str | None) -> Response:
    """The checkpoint's file, or 304 when the caller has it. Its ETag is its sha256.

    Content-Disposition names it after the job, so that `curl -OJ` keeps two apart.
    """
    digest = base64.b64encode(bytes.fromhex(checkpoint.sha256)).decode()
    headers = {
        "ETag": f'"{checkpoint.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        # The file behind "best" or "last" changes while a job runs: ask again, but do not send it again.
        "Cache-Control": "private, no-cache",
    }
    known = request.headers.get("if-none-match", "")
    if known == "*" or checkpoint.sha256 in re.findall(r'"([^"]*)"', known):
        return Response(status_code=304, headers=headers)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-.") or str(checkpoint.job_id)
    return FileResponse(
        store.path(checkpoint.key),
        media_type="application/octet-stream",
        filename=f"{stem}-epoch-{checkpoint.epoch}.pt",
        headers=headers,
    )
