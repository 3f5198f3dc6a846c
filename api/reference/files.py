"""Finds the page's files: its own, and Swagger UI's in the package fastapi-offline, which is never imported."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

from api.dashboard.assets import Asset

_OWN: Final = Path(__file__).parent / "static"
_FILES: Final = {
    "index.html": ("own", "text/html"),
    "start.js": ("own", "text/javascript"),
    "swagger-ui-bundle.js": ("wheel", "text/javascript"),
    "swagger-ui.css": ("wheel", "text/css"),
}


@cache
def reference_file(name: str) -> Asset | None:
    """One of the four files, compressed; None for another name. The first call takes some 100 ms."""
    if name not in _FILES:
        return None
    source, media_type = _FILES[name]
    folder = _OWN if source == "own" else _wheel()
    return Asset.of((folder / name).read_bytes(), f"{media_type}; charset=utf-8")


def _wheel() -> Path:
    found = importlib.util.find_spec("fastapi_offline")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("fastapi-offline is not installed: /docs takes Swagger UI from its package")
    return Path(found.submodule_search_locations[0]) / "static"
