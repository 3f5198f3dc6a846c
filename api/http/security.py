"""What browsers can be made to send. Without keys the service trusts its loopback interface, but no web page that a
browser shows; who may do what with a key is api/auth/'s matter.
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
        if scope["type"] == "http" and (problem := _suspicious(scope["method"], Headers(scope=scope))):
            body = Problem(title="Forbidden", status=403, detail=problem).model_dump(exclude_none=True)
            await JSONResponse(body, 403, media_type=MEDIA_TYPE)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def has_own_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent this from a page of the service itself."""
    host = headers.get("host", "")
    return headers.get("origin") in {f"http://{host}", f"https://{host}"}


def _suspicious(method: str, headers: Mapping[str, str]) -> str | None:
    host = headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        return f"this service answers on loopback only, not as {host!r}"
    if "origin" in headers and method not in SAFE_METHODS and not has_own_origin(headers):
        return f"requests from the web page {headers['origin']!r} are refused"
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
