"""Serves pictures as cacheable responses that are safe to open on their own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from api.db.models import Epoch, Job
from api.http.problems import ProblemError
from api.pictures.drawer import Drawer
from darts_core.drawing import CellKind, ThemeName, epoch_title
from darts_core.genotypes import AnyGenotype, family_of, parse
from darts_core.runtime.version import VERSION

SVG: Final = "image/svg+xml"
GIF: Final = "image/gif"
_SAME: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "the client's copy is current"}}
SVG_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "the picture", "content": {SVG: {"schema": {"type": "string"}}}},
    **_SAME,
}
GIF_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "the picture", "content": {GIF: {"schema": {"type": "string", "format": "binary"}}}},
    **_SAME,
}
_HEADERS: Final = {
    # The latest epoch changes while a search runs, so a cache must revalidate.
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    # An SVG opened on its own is a document, which needs its inline style and nothing else.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


def check_cell(cell: CellKind, cells: Iterable[str], where: str) -> None:
    """Raise ProblemError 404 for a cell that is not there."""
    there = list(cells)
    if cell not in there:
        raise ProblemError(404, f"{where} has no {cell} cell; it has {' and '.join(f'{name}.svg' for name in there)}")


class PictureAnswers:
    """Draws the pictures of one request; responds 304 if `If-None-Match` names the picture."""

    def __init__(self, request: Request) -> None:
        self._drawer: Drawer = request.app.state.drawer
        self._known = request.headers.get("if-none-match", "")

    async def genotype(self, genotype: AnyGenotype, title: str, cell: CellKind | None = None) -> Response:
        """The SVG of a genotype: all cells, or one."""
        return self._svg(await self._drawer.svg(genotype, title, cell))

    async def epoch(self, job: Job, epoch: Epoch, cell: CellKind | None = None) -> Response:
        """The SVG of a search's genotype and operation strengths after an epoch: all cells, or one."""
        assert epoch.genotype is not None
        genotype = parse(epoch.genotype, family_of(job.spec))
        title = epoch_title(epoch.epoch, job.spec["epochs"], epoch.metrics)
        return self._svg(await self._drawer.svg(genotype, title, cell, epoch.strengths, job.spec["primitives"]))

    def known_progress(self, job: Job, latest: Epoch, theme: ThemeName) -> Response | None:
        """A 304 if the client has the GIF up to this epoch, determined without drawing it."""
        return self._unchanged(_progress_tag(job, latest, theme))

    async def progress(self, job: Job, epochs: list[Epoch], theme: ThemeName) -> Response:
        """The GIF of these epochs; the last one must be the latest."""
        picture = await self._drawer.gif(job.spec, epochs, theme)
        return Response(picture, media_type=GIF, headers=_HEADERS | {"ETag": _progress_tag(job, epochs[-1], theme)})

    def _svg(self, picture: str) -> Response:
        tag = _tag(picture)
        return self._unchanged(tag) or Response(picture, media_type=SVG, headers=_HEADERS | {"ETag": tag})

    def _unchanged(self, tag: str) -> Response | None:
        if self._known.strip() != "*" and tag not in re.findall(r'"[^"]*"', self._known):
            return None
        return Response(status_code=304, headers=_HEADERS | {"ETag": tag})


def _progress_tag(job: Job, latest: Epoch, theme: ThemeName) -> str:
    # A stored epoch never changes, so the latest epoch identifies all before it.
    return _tag(f"{VERSION} {job.id} {latest.epoch} {theme}")


def _tag(content: str) -> str:
    return f'"{hashlib.sha256(content.encode()).hexdigest()}"'


Pictures = Annotated[PictureAnswers, Depends()]
