"""Studies: the whole protocol from searches to test figures as one job with children."""

from __future__ import annotations

import asyncio

from fastapi import Response

from api.composite.validate import ChildValidator
from api.deps import Datasets, Jobs
from api.http.problems import documented, invalid
from api.routes.collection import IdempotencyKeyHeader, tree_router
from api.schemas.jobs import JobKind, JobOut
from api.schemas.studies import MOST_SEARCHES, AnyStudyCreate, RnnStudyCreate, StudyCreate, StudyPoint, StudySpec
from api.serializers import job_out

router = tree_router(JobKind.STUDY)


@router.post("", status_code=201, responses=documented(409))
async def create_study(
    body: AnyStudyCreate, jobs: Jobs, datasets: Datasets, response: Response, key: IdempotencyKeyHeader = None
) -> JobOut:
    """Search with several seeds, retrain shortly, choose on validation data, retrain the chosen cell, report on the
    test data. 422 names the field of the child that is not possible: `search.epochs`.
    """
    submitted = await jobs.submitted(JobKind.STUDY, body, key)
    if submitted is None:
        spec = await _resolve(body, datasets)
        submitted = await jobs.submit(JobKind.STUDY, body, spec, idempotency_key=key)
    response.headers["Location"] = f"/studies/{submitted.job.id}"
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job_out(submitted.job)


async def _resolve(body: StudyCreate | RnnStudyCreate, datasets: Datasets) -> StudySpec:
    grid = list(body.grid.points())
    if (searches := len(grid) * len(body.seeds)) > MOST_SEARCHES:
        raise invalid("seeds", f"{searches} searches in all, and at most {MOST_SEARCHES} are possible: make it several")
    validator, points = ChildValidator(datasets, body.family, body.gpus), []
    for values in grid:
        await asyncio.sleep(0)  # a large grid lets other requests through
        search = await validator.search(body.search, values, axes="grid")
        short = await validator.short_training("short_retrain", body.short_retrain, search)
        final = await validator.training("final", body.final, search, runs=body.final_runs)
        points.append(StudyPoint(values=values, search=search, short_retrain=short, final=final))
    return StudySpec(
        family=body.family,
        dataset=", ".join(dict.fromkeys(point.search["dataset"] for point in points)),
        seeds=body.seeds,
        final_runs=body.final_runs,
        enough=body.enough or -(-len(body.seeds) // 2),
        enough_final=body.enough_final or -(-body.final_runs // 2),
        points=points,
    )
