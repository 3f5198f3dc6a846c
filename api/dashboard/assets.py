"""Serves the dashboard's files under URLs that hold a digest of their content, so browsers may cache them forever."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import html
import importlib.util
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_LEVEL: Final = 9
_COMMENT: Final = re.compile(rb"^[ ]*/\*.*?\*/", re.DOTALL | re.MULTILINE)
# These come first in the one style sheet that the page gets; those of components follow in any order.
_BASE_STYLES: Final = ("styles/tokens.css", "styles/base.css", "styles/layout.css")


@dataclass(frozen=True)
class Asset:
    """A file as the service sends it; `packed` is its gzip."""

    content: bytes
    packed: bytes
    media_type: str

    @classmethod
    def of(cls, content: bytes, media_type: str) -> Asset:
        """Compress the content."""
        return cls(content, gzip.compress(content, _LEVEL, mtime=0), media_type)


class Assets:
    """All files by URL. Modules import each other by relative paths, so the URLs share one digest of all files.

    provider: the name of the identity provider that the page offers; empty for none.
    """

    def __init__(self, provider: str = "") -> None:
        files = {path.relative_to(_HERE).as_posix(): _without_comments(path) for path in sorted(_HERE.rglob("*.*"))}
        page = files.pop("index.html").decode()
        styles = [name for name in files if name.startswith("styles/") and name not in _BASE_STYLES]
        files["styles.css"] = b"".join(files.pop(name) for name in [*_BASE_STYLES, *styles])
        digest = hashlib.sha256(b"\0".join(part for item in files.items() for part in (item[0].encode(), item[1])))
        base = f"/static/{digest.hexdigest()[:16]}"
        self._files = {f"{base}/{name}": Asset.of(content, _type(name)) for name, content in files.items()}
        self._charts, self._packing = Charts(), asyncio.Lock()
        modules = [name for name in files if name.endswith(".js")]
        # Every view imports these; first those that start requests.
        common = ["lib/router.js", "lib/http.js", "app.js"]
        common += [name for name in modules if name.startswith("lib/") and name not in common]
        preloads = "\n".join(f'    <link rel="modulepreload" href="{base}/{name}">' for name in common)
        later = " ".join(name for name in modules if name not in common and name != "preload.js")
        page = page.replace("{{base}}", base).replace("{{charts}}", self._charts.url).replace("{{preloads}}", preloads)
        page = page.replace("{{modules}}", later).replace("{{provider}}", html.escape(provider))
        self.styles = f"{base}/styles.css"
        self.page = Asset.of(page.encode(), "text/html; charset=utf-8")
        self.page_tag = f'"{hashlib.sha256(page.encode()).hexdigest()}"'

    async def find(self, url: str) -> Asset | None:
        """The file at this path, or None."""
        if url != self._charts.url:
            return self._files.get(url)
        async with self._packing:
            if url not in self._files:
                # Several MB: compressed in a thread, when the first page requests it.
                self._files[url] = await asyncio.to_thread(self._charts.read)
        return self._files[url]


class Charts:
    """The plotly bundle of the installed wheel."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("plotly")
        if found is None or not found.submodule_search_locations:
            raise RuntimeError("plotly is not installed: the dashboard takes its charts from the wheel")
        self._path = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        self.url = f"/static/{digest.hexdigest()[:16]}/plotly.min.js"

    def read(self) -> Asset:
        """The compressed bundle; compressing takes a second."""
        return Asset.of(self._path.read_bytes(), _type(self._path.name))


def _without_comments(path: Path) -> bytes:
    """Read a file. Modules and styles lose their block comments, a tenth of all bytes; lines keep their numbers."""
    content = path.read_bytes()
    if path.suffix not in (".js", ".css"):
        return content
    return _COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)


def _type(name: str) -> str:
    guessed = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8"
