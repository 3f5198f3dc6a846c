"""Draws cells without blocking the event loop: SVG in a thread, GIF in a child process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from api.artifacts import Artifacts
from api.http.problems import ProblemError, conflict
from api.sandbox import ChildDiedError, ask
from darts_core.drawing import CellKind, ThemeName, cells_of, epoch_title, scene_of, to_svg
from darts_core.errors import DrawingError
from darts_core.genotypes import AnyGenotype, family_of
from darts_core.genotypes.derive import Table

# A hundred frames take seconds; on a machine busy with searches, a minute.
_WITHIN_SECONDS: Final = 300.0
# Graphviz runs one process for each layout that is not cached.
_SVGS_AT_ONCE: Final = 4
_log = structlog.get_logger(__name__)


class Drawer:
    """Runs few drawings at a time, so that readers do not starve the workers on the same machine."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._threads = asyncio.Semaphore(_SVGS_AT_ONCE)
        self._process = asyncio.Semaphore(1)

    async def svg(
        self,
        genotype: AnyGenotype,
        title: str,
        cell: CellKind | None = None,
        strengths: Mapping[str, Table] | None = None,
        primitives: Sequence[str] = (),
    ) -> str:
        """Draw all the genotype's cells, or one. Raises ProblemError 409 if the strengths do not fit the genotype."""

        def drawn() -> str:
            cells = cells_of(genotype, strengths, primitives)
            return to_svg(scene_of([c for c in cells if cell in (None, c.kind)], title))

        async with self._threads:
            try:
                return await asyncio.to_thread(drawn)
            except DrawingError as error:
                raise _unfit(str(error)) from error

    async def gif(self, spec: Mapping[str, Any], epochs: Sequence[Any], theme: ThemeName) -> bytes:
        """Draw these epochs of a search. Raises ProblemError 409 if strengths do not fit, 503 on a timeout."""
        order = {
            "family": family_of(spec),
            "primitives": spec["primitives"],
            "theme": theme,
            "epochs": [
                {
                    "title": epoch_title(epoch.epoch, spec["epochs"], epoch.metrics),
                    "genotype": epoch.genotype,
                    "strengths": epoch.strengths,
                }
                for epoch in epochs
            ],
        }
        async with self._process:
            with self._artifacts.workspace() as work:
                file = (work / "progress.gif").absolute()
                try:
                    result = await ask(
                        "api.pictures.gif_child",
                        order | {"to": str(file)},
                        stderr=work / "stderr",
                        within_seconds=_WITHIN_SECONDS,
                    )
                except TimeoutError as error:
                    detail = f"drawing took longer than {_WITHIN_SECONDS:g} s: try again when the machine is less busy"
                    raise ProblemError(503, detail, headers={"Retry-After": "60"}) from error
                except ChildDiedError as error:
                    _log.error("animation_died", code=error.code, stderr=error.trace)
                    detail = f"the picture cannot be drawn: exit code {error.code}; the service's log has the details"
                    raise ProblemError(500, detail) from error
                if "error" in result:
                    raise _unfit(result["error"])
                return await asyncio.to_thread(file.read_bytes)


def _unfit(why: str) -> ProblemError:
    return conflict(f"the worker's report cannot be drawn: {why}")
