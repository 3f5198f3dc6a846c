"""Serves jobs of any kind under /jobs."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from api.deps import Jobs
from api.http.problems import documented
from api.jobs.id_prefix import IdPrefix
from api.jobs.listing import Filters
from api.routes.collection import JobCursor, JobId, Label, Limit, Owner, Sort, Words, page_of
from api.schemas.jobs import JobKind, JobList, JobOut, Status
from api.serializers import job_out

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=documented(422, 503))


@router.get("")
async def list_all_jobs(
    jobs: Jobs,
    kind: Annotated[JobKind | None, Query()] = None,
    status: Status | None = None,
    label: Label = None,
    parent: Annotated[
        UUID | Literal["none"] | None,
        Query(description="only children of this job; `none`: only jobs without a parent"),
    ] = None,
    id_prefix: IdPrefix = None,
    owner: Owner = None,
    q: Words = None,
    sort: Sort = "-created_at",
    limit: Limit = 50,
    cursor: JobCursor = None,
) -> JobList:
    """Jobs of all kinds, by default newest first. 422 for a metric that no job has."""
    roots = parent == "none"
    of = parent if isinstance(parent, UUID) else None
    return await page_of(jobs, Filters(kind, status, label, of, id_prefix, owner, q, roots), sort, limit, cursor)


@router.get("/{job_id}", responses=documented(404))
async def get_any_job(job_id: JobId, jobs: Jobs) -> JobOut:
    """The job's current state; `links.self` is its path in its own collection."""
    return job_out(await jobs.get(job_id))
