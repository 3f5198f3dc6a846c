"""Searches: ask for one, read what it found."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Query, Response
from fastapi.responses import PlainTextResponse

from api.deps import Jobs, Reading
from api.problems import documented
from api.routes.collection import IdempotencyKeyHeader, JobId, job_router
from api.schemas.jobs import JobKind, JobOut
from api.schemas.searches import AlphasOut, GenotypeOut, SearchCreate
from api.views import job_out

router = job_router(JobKind.SEARCH)
AtEpoch = Annotated[int | None, Query(ge=1, lt=2**31, description="the latest unless given")]


@router.post("", status_code=201, responses=documented(409))
async def create_search(body: SearchCreate, jobs: Jobs, response: Response, key: IdempotencyKeyHeader = None) -> JobOut:
    """Queue a search. 422 when the data set, a primitive or a value is not possible."""
    submitted = await jobs.submit(JobKind.SEARCH, body, body.config(), idempotency_key=key)
    response.headers["Location"] = f"/searches/{submitted.job.id}"
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job_out(submitted.job)


@router.get(
    "/{job_id}/genotype",
    response_model=GenotypeOut,
    responses={
        200: {"content": {"text/x-python": {"schema": {"type": "string"}}}},
        **documented(404, 409),
    },
)
async def get_genotype(
    job_id: JobId,
    jobs: Jobs,
    reading: Reading,
    epoch: AtEpoch = None,
    format: Annotated[Literal["json", "python"] | None, Query(description="`Accept` works, too")] = None,  # noqa: A002
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response | GenotypeOut:
    """The cell that the alphas stand for. 409 while no epoch has ended."""
    job = await jobs.get(job_id, JobKind.SEARCH)
    found = await reading.epoch(job, epoch)
    assert found.genotype is not None
    if format == "python" or (format is None and "text/x-python" in accept):
        return PlainTextResponse(found.genotype["text"] + "\n", media_type="text/x-python")
    return GenotypeOut(**found.genotype, epoch=found.epoch, primitives=job.spec["primitives"])


@router.get("/{job_id}/alphas", responses=documented(404, 409))
async def get_alphas(job_id: JobId, jobs: Jobs, reading: Reading, epoch: AtEpoch = None) -> AlphasOut:
    """Raw and softmaxed alphas after an epoch. 409 while none has ended."""
    job = await jobs.get(job_id, JobKind.SEARCH)
    found = await reading.epoch(job, epoch)
    assert found.alphas is not None
    return AlphasOut.of(found.epoch, job.spec["primitives"], found.alphas)
