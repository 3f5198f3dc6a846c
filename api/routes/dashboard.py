"""The dashboard at `/`, and the files that it consists of."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from api.dashboard.assets import Asset
from api.deps import DashboardFiles
from api.http.problems import not_found

router = APIRouter(include_in_schema=False)

# plotly's own style sheets, by their hashes: an empty one that it fills by script, and that of its maps.
_CHART_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {_CHART_STYLES}",
        # It sets style attributes, too, which can do no more than change how the page looks.
        "style-src-attr 'unsafe-inline'",
        # plotly paints a heat map into a data URL.
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
    """The page. It asks for everything else itself."""
    headers = _PAGE_HEADERS | {"ETag": assets.page_tag}
    if assets.page_tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return _sent(request, assets.page, headers)


@router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
async def get_dashboard_file(request: Request, path: str, assets: DashboardFiles) -> Response:
    """One of its files; a path that names other content than today's is 404."""
    asset = await assets.find(f"/static/{path}")
    if asset is None:
        raise not_found("file", path[:200])
    return _sent(request, asset, _FILE_HEADERS)


def _sent(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers = headers | {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)
