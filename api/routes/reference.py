"""Serves the interactive API documentation at /docs."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response

from api.http.problems import not_found
from api.reference.files import reference_file

router = APIRouter(include_in_schema=False)

_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            # Swagger UI sets styles by script.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


@router.api_route("/docs", methods=["GET", "HEAD"])
async def get_reference(request: Request) -> Response:
    """The documentation page."""
    return await _respond(request, "index.html")


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
async def get_reference_file(request: Request, name: str) -> Response:
    """A file of the documentation page."""
    return await _respond(request, name)


async def _respond(request: Request, name: str) -> Response:
    asset = await asyncio.to_thread(reference_file, name[:100])
    if asset is None:
        raise not_found("file", name[:100])
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers={**_HEADERS, "Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=_HEADERS)
