"""Assigns each request an id, logs one line when the request ends and records its latency."""

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
# A client's id is copied into the log and a response header, so its characters are restricted.
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_CLIENT_CLOSED: Final = 499  # nginx's status for a client that closed the connection before the response


class AccessLog:
    """Outermost middleware. Keeps a proxy's X-Request-ID and returns the id with the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_HEADER, "")
        request_id = given if _ID.fullmatch(given) else uuid4().hex
        clear_contextvars()
        bind_contextvars(request=request_id)
        status, began, answered = _CLIENT_CLOSED, time.perf_counter(), None

        async def answer(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:  # an outer handler sends the response
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
                **_path_ids(scope),
            )


def _route(scope: Scope) -> str:
    """The matched route's path template, which keeps the label's cardinality low; `none` without a match."""
    return getattr(scope.get("route"), "path", "none")


def _path_ids(scope: Scope) -> dict[str, str]:
    """The path's job and attempt ids, under the keys that other log lines use."""
    found = scope.get("path_params", {})
    return {name.removesuffix("_id"): str(found[name]) for name in ("job_id", "attempt_id") if name in found}
