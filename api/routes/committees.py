"""Committees: searches in several spaces, their cells trained, and an ensemble of them, as one job with children."""

from __future__ import annotations

from fastapi import Response

from api.composite.validate import ChildValidator
from api.deps import Datasets, Jobs
from api.http.problems import documented
from api.routes.collection import IdempotencyKeyHeader, tree_router
from api.schemas.committees import (
    AnyCommitteeCreate,
    CommitteeCreate,
    CommitteePoint,
    CommitteeSpec,
    RnnCommitteeCreate,
)
from api.schemas.jobs import JobKind, JobOut
from api.serializers import job_out

router = tree_router(JobKind.COMMITTEE)


@router.post("", status_code=201, responses=documented(409))
async def create_committee(
    body: AnyCommitteeCreate, jobs: Jobs, datasets: Datasets, response: Response, key: IdempotencyKeyHeader = None
) -> JobOut:
    """Search in each space, train what is found from scratch, measure the members together.

    422 names the field of the child that is not possible: `evaluation.epochs`.
    """
    submitted = await jobs.submitted(JobKind.COMMITTEE, body, key)
    if submitted is None:
        spec = await _resolve(body, datasets)
        submitted = await jobs.submit(JobKind.COMMITTEE, body, spec, idempotency_key=key)
    response.headers["Location"] = f"/committees/{submitted.job.id}"
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job_out(submitted.job)


async def _resolve(body: CommitteeCreate | RnnCommitteeCreate, datasets: Datasets) -> CommitteeSpec:
    validator, points = ChildValidator(datasets, body.family, body.gpus), []
    for space in body.names:
        values = {"space": space}
        search = await validator.search(body.search, values, axes="spaces")
        evaluation = await validator.training("evaluation", body.evaluation, search, runs=len(body.seeds))
        points.append(CommitteePoint(values=values, search=search, evaluation=evaluation))
    ensemble = await validator.ensemble(body.ensemble, points[0].evaluation)
    members = len(points) * len(body.seeds)
    return CommitteeSpec(
        family=body.family,
        dataset=points[0].search["dataset"],
        seeds=body.seeds,
        enough=body.enough or max(2, -(-members // 2)),
        points=points,
        ensemble=ensemble,
    )
