"""Ensembles: measure trained networks together, take them as one file."""

from __future__ import annotations

from fastapi import Request, Response

from api.checkpoints.lookup import Sources
from api.checkpoints.members import Members, curve_of, files_of
from api.deps import Datasets, Downloads, Jobs, Reading, Uploads
from api.ensemble_specs import ensemble_spec
from api.http.downloads import FILE_ANSWERS, WantedFile, plain_name
from api.http.problems import documented
from api.routes.collection import IdempotencyKeyHeader, JobId, job_router
from api.schemas.ensembles import EnsembleCreate
from api.schemas.jobs import JobKind, JobOut
from api.serializers import job_out

router = job_router(JobKind.ENSEMBLE)


@router.post("", status_code=201, responses=documented(404, 409))
async def create_ensemble(
    body: EnsembleCreate,
    jobs: Jobs,
    reading: Reading,
    uploads: Uploads,
    datasets: Datasets,
    response: Response,
    key: IdempotencyKeyHeader = None,
) -> JobOut:
    """Queue a measurement of several networks together. 404 for an unknown member, 409 for one without a checkpoint
    yet, 422 for members that do not fit each other.

    The members' files are taken now: whatever becomes of their jobs or uploads does not change them.
    """
    submitted = await jobs.submitted(JobKind.ENSEMBLE, body, key)
    if submitted is None:
        members = await Members(Sources(jobs, reading, uploads, datasets), jobs, reading).find(body)
        curve = curve_of(members) if body.curve else None
        spec = await ensemble_spec(body, members, curve, datasets)
        submitted = await jobs.submit(
            JobKind.ENSEMBLE, body, spec, idempotency_key=key, given=files_of(members, curve or [])
        )
    response.headers["Location"] = f"/ensembles/{submitted.job.id}"
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job_out(submitted.job)


@router.head("/{job_id}/checkpoint", operation_id="head_ensemble_checkpoint", responses=FILE_ANSWERS)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_ANSWERS)
async def download_ensemble(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads, wanted: WantedFile = "torch"
) -> Response:
    """All chosen members and their weights in one file, which `darts_core.load` runs as one model.

    409 until the ensemble has succeeded, and for safetensors, which cannot hold several networks.
    """
    job = await jobs.get(job_id, JobKind.ENSEMBLE)
    row = await reading.file(job, "ensemble.pt")
    stem = plain_name(job.name) or str(job.id)
    return await downloads.stored(request, row.stored, stem, wanted)


@router.head("/{job_id}/logits", operation_id="head_ensemble_logits", responses=FILE_ANSWERS)
@router.get("/{job_id}/logits", response_class=Response, responses=FILE_ANSWERS)
async def download_ensemble_logits(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads
) -> Response:
    """A safetensors file of the ensemble's `logits`, float64 (N, classes), `labels`, int64 (N,), `places`, int64 (N,),
    the images' indices in the test part, and `member.I`, float32 (N, classes), for each member. The same with the
    prefix `validation.` for the data of the selection and fit.

    For language models, `log_probabilities` (N,) of the actual words and `targets` replace logits and labels. 409 until
    the ensemble has succeeded.
    """
    job = await jobs.get(job_id, JobKind.ENSEMBLE)
    row = await reading.file(job, "logits.safetensors")
    stem = plain_name(job.name) or str(job.id)
    return await downloads.file(request, row.stored, f"{stem}-logits.safetensors")
