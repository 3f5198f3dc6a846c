"""Who may call what. Without keys the service trusts its loopback interface, but no web page that a browser shows.

User keys and roles are not built yet: until then the API refuses to listen anywhere but on loopback.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import MEDIA_TYPE, Problem, ProblemError

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def require_worker(request: Request, authorization: Annotated[str | None, Header()] = None) -> None:
    """Let workers in, by the key that they share with this service."""
    key = request.app.state.settings.worker_key
    if key is None:
        raise ProblemError(401, "this service has no worker key: set DARTBOARD_WORKER_KEY for it and its workers")
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), key.get_secret_value().encode()):
        raise ProblemError(401, "send the worker key as `Authorization: Bearer <key>`", headers=_CHALLENGE)


_CHALLENGE = {"WWW-Authenticate": "Bearer"}
WorkerOnly = Depends(require_worker)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LocalOnly:
    """Refuses what a web page elsewhere could make a browser send to a loopback service.

    The Host header unmasks DNS rebinding, the Origin header a cross-site request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or pass the request on."""
        if scope["type"] == "http":
            headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
            if problem := _suspicious(scope["method"], headers):
                body = Problem(title="Forbidden", status=403, detail=problem).model_dump(exclude_none=True)
                await JSONResponse(body, 403, media_type=MEDIA_TYPE)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _suspicious(method: str, headers: dict[str, str]) -> str | None:
    host = headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        return f"this service answers on loopback only, not as {host!r}"
    origin = headers.get("origin")
    if origin is not None and method not in _SAFE_METHODS and origin not in {f"http://{host}", f"https://{host}"}:
        return f"requests from the web page {origin!r} are refused"
    return None


class CurlJson:
    """Reads a body that curl sends with its default type as the JSON that it is: `curl -d '{...}'` just works.

    No form of that type is taken anywhere, so nothing else can be meant; cross-site forms are stopped by `LocalOnly`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its content type mended."""
        if scope["type"] == "http":
            scope["headers"] = [
                (k, b"application/json" if k == b"content-type" and v.startswith(_CURLS_DEFAULT) else v)
                for k, v in scope["headers"]
            ]
        await self._app(scope, receive, send)


_CURLS_DEFAULT = b"application/x-www-form-urlencoded"
