"""Serves the checkpoints of evaluations and pictures of the cells that they train."""

from __future__ import annotations

from fastapi import Response

from api.compare.sides import cells_of
from api.deps import Jobs
from api.http.problems import documented
from api.pictures.responses import SVG_ANSWERS, Pictures, check_cell
from api.routes.checkpoint_files import add_checkpoint_routes
from api.routes.collection import JobId, routes_of
from api.schemas.jobs import JobKind
from darts_core.drawing import CellKind
from darts_core.genotypes import family_of, parse

router = routes_of(JobKind.EVALUATION)
add_checkpoint_routes(router, JobKind.EVALUATION, "best")


@router.get("/{job_id}/cells/{cell}.svg", response_class=Response, responses=SVG_ANSWERS | documented(404, 422, 503))
async def get_trained_cell_picture(job_id: JobId, cell: CellKind, jobs: Jobs, pictures: Pictures) -> Response:
    """One cell of the network that the evaluation trains. 404 for another family's cell."""
    job = await jobs.get(job_id, JobKind.EVALUATION)
    genotype = parse(job.spec["genotype"], family_of(job.spec))
    check_cell(cell, cells_of(genotype), "the trained network")
    return await pictures.genotype(genotype, job.name or "", cell)
