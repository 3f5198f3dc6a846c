"""How large a request body may be. How much of a file really comes is counted by the artifact store."""

from __future__ import annotations

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE, Problem

# The largest honest body is an epoch's report: some tables of alphas, far below this.
LARGEST_BODY = 4 * 2**20
# What a form has besides its file.
_FORM_BYTES = 2**20
_UPLOADS = {"/checkpoints", "/datasets"}


class BodyLimit:
    """Answers 413 to a larger body, announced or not, before it is all in memory."""

    def __init__(self, app: ASGIApp, largest_file: int) -> None:
        self._app, self._largest_file = app, largest_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        file = brings_a_file(scope)
        most = self._largest_file + _FORM_BYTES if file else LARGEST_BODY
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > most:
            body = Problem(title="Content Too Large", status=413, detail=_detail(most)).model_dump(exclude_none=True)
            await JSONResponse(body, 413, media_type=MEDIA_TYPE)(scope, receive, send)
            return
        if file:
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                raise HTTPException(413, _detail(LARGEST_BODY))
            return message

        await self._app(scope, counted, send)


def _detail(most: int) -> str:
    return f"the body is larger than the {most:,} bytes that are read"


def brings_a_file(scope: Scope) -> bool:
    """Whether the body is a file, which goes straight to the disk."""
    if "/files/" in scope["path"]:
        return True
    kind = dict(scope["headers"]).get(b"content-type", b"")
    return scope["path"] in _UPLOADS and bool(kind.startswith(b"multipart/form-data"))
