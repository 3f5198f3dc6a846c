"""Protects a loopback service without keys from requests that foreign web pages make a browser send.

Permissions of API keys are checked in api/auth/.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.permissions import SAFE_METHODS
from api.http.problems import MEDIA_TYPE, Problem


def is_loopback(host: str) -> bool:
    """Whether a host name or address is reachable from this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LocalOnly:
    """Rejects cross-site requests to a loopback service with 403.

    The Host header reveals DNS rebinding, the Origin header a cross-site request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := _refusal(scope["method"], Headers(scope=scope))):
            body = Problem(title="Forbidden", status=403, detail=problem).model_dump(exclude_none=True)
            await JSONResponse(body, 403, media_type=MEDIA_TYPE)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def has_own_origin(headers: Mapping[str, str]) -> bool:
    """Whether the request's Origin is the service itself."""
    host = headers.get("host", "")
    return headers.get("origin") in {f"http://{host}", f"https://{host}"}


def _refusal(method: str, headers: Mapping[str, str]) -> str | None:
    host = headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        return f"this service is available on loopback only, not as {host!r}"
    if "origin" in headers and method not in SAFE_METHODS and not has_own_origin(headers):
        return f"requests from the web page {headers['origin']!r} are refused"
    return None


class CurlJson:
    """Treats curl's default content type as JSON, so that `curl -d '{...}'` works without a header.

    No route takes a URL-encoded form; `LocalOnly` rejects cross-site ones.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = [
                (k, b"application/json" if k == b"content-type" and v.startswith(_CURLS_DEFAULT) else v)
                for k, v in scope["headers"]
            ]
        await self._app(scope, receive, send)


_CURLS_DEFAULT = b"application/x-www-form-urlencoded"
