"""Serves the dashboard at `/` and its files."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from api.dashboard.assets import Asset
from api.deps import DashboardFiles
from api.http.problems import not_found

router = APIRouter(include_in_schema=False)

# The hashes of plotly's style sheets: an empty one that it fills by script, and the one of its maps.
_CHART_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {_CHART_STYLES}",
        # plotly also sets style attributes, which can only change the page's appearance.
        "style-src-attr 'unsafe-inline'",
        # plotly renders heat maps into data URLs.
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FILE_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}


@router.api_route("/", methods=["GET", "HEAD"])
async def get_dashboard(request: Request, assets: DashboardFiles) -> Response:
    """The page, which requests its files and data itself."""
    headers = _PAGE_HEADERS | {"ETag": assets.page_tag}
    if assets.page_tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return _respond(request, assets.page, headers)


@router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
async def get_dashboard_file(request: Request, path: str, assets: DashboardFiles) -> Response:
    """A file of the page. 404 for a path with an outdated digest."""
    asset = await assets.find(f"/static/{path}")
    if asset is None:
        raise not_found("file", path[:200])
    return _respond(request, asset, _FILE_HEADERS)


def _respond(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers = headers | {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)
