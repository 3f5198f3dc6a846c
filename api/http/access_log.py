"""Every request: an id that all its log lines carry, one line when it is over, one count in the histogram."""

from __future__ import annotations

import re
import time
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from api.metrics.counters import HTTP_SECONDS

_log = structlog.get_logger(__name__)
_HEADER: Final = "X-Request-ID"
# Another's id goes into our log and into a header: only what cannot be anything else there.
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_GONE: Final = 499  # who asked did not wait for the answer; nginx's number for it


class Requests:
    """The outermost layer. A proxy's X-Request-ID is kept, and given back with the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and take note of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_HEADER, "")
        request_id = given if _ID.fullmatch(given) else uuid4().hex
        clear_contextvars()
        bind_contextvars(request=request_id)
        status, began, answered = _GONE, time.perf_counter(), None

        async def answer(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:  # answered further out
            status = 500
            raise
        finally:
            ended = time.perf_counter()
            route = _route(scope)
            HTTP_SECONDS.labels(scope["method"], route, status).observe((answered or ended) - began)
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                route=route,
                status=status,
                seconds=round(ended - began, 4),
                **_named(scope),
            )


def _route(scope: Scope) -> str:
    """The path as the route has it, so that labels stay few; none where the request got to no route."""
    return getattr(scope.get("route"), "path", "none")


def _named(scope: Scope) -> dict[str, str]:
    """What the path names, as other lines call it."""
    found = scope.get("path_params", {})
    return {name.removesuffix("_id"): str(found[name]) for name in ("job_id", "attempt_id") if name in found}
