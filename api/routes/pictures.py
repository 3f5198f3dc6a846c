"""Serves pictures of a search's cells and progress."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.deps import Jobs, Reading
from api.http.problems import documented
from api.pictures.responses import GIF_ANSWERS, SVG_ANSWERS, Pictures, check_cell
from api.routes.collection import JobId
from api.routes.searches import AtEpoch
from api.schemas.jobs import JobKind
from darts_core.drawing import CellKind, ThemeName
from darts_core.drawing.frames import MOST_FRAMES
from darts_core.families import family_in

router = APIRouter(prefix="/searches", tags=["searches"], responses=documented(404, 409, 422, 503))


@router.get("/{job_id}/cells/{cell}.svg", response_class=Response, responses=SVG_ANSWERS)
async def get_cell_picture(
    job_id: JobId, cell: CellKind, jobs: Jobs, reading: Reading, pictures: Pictures, epoch: AtEpoch = None
) -> Response:
    """One cell with line widths by its operation strengths. 409 before the first finished epoch, 404 for another
    family's cell.
    """
    job = await jobs.get(job_id, JobKind.SEARCH)
    family = family_in(job.spec)
    check_cell(cell, family.cells_of(job.spec), f"a search of family {family.name!r}")
    return await pictures.epoch(job, await reading.epoch(job, epoch), cell)


@router.get("/{job_id}/progress.gif", response_class=Response, responses=GIF_ANSWERS)
async def get_progress_picture(
    job_id: JobId,
    jobs: Jobs,
    reading: Reading,
    pictures: Pictures,
    theme: Annotated[ThemeName, Query(description="colour theme")] = "light",
) -> Response:
    """All cells over the epochs, in at most 100 evenly spaced frames. 409 before the first finished epoch."""
    job = await jobs.get(job_id, JobKind.SEARCH)
    latest = await reading.epoch(job, None)
    if known := pictures.known_progress(job, latest, theme):
        return known
    return await pictures.progress(job, await reading.evenly(job, latest.epoch, MOST_FRAMES), theme)
