"""Compresses JSON answers for clients that ask for JSON, as the dashboard does."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_SMALLEST: Final = 1000
# It makes a list of jobs about as small as level 9 does, in less time.
_LEVEL: Final = 5


class Compression:
    """Downloads, event streams and workers' requests, which do not ask for JSON, stay as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._compressing = app, GZipMiddleware(app, _SMALLEST, _LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wants_json = scope["type"] == "http" and "application/json" in Headers(scope=scope).get("accept", "")
        await (self._compressing if wants_json else self._app)(scope, receive, send)
