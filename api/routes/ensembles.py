"""Serves the files of ensembles: the combined checkpoint and the logits."""

from __future__ import annotations

from fastapi import Request, Response

from api.deps import Downloads, Jobs, Reading
from api.http.downloads import FILE_RESPONSES, WantedFile, plain_name
from api.routes.collection import JobId, routes_of
from api.schemas.jobs import JobKind

router = routes_of(JobKind.ENSEMBLE)


@router.head("/{job_id}/checkpoint", operation_id="head_ensemble_checkpoint", responses=FILE_RESPONSES)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_RESPONSES)
async def download_ensemble(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads, wanted: WantedFile = "torch"
) -> Response:
    """All chosen members and their weights in one file, which `darts_core.load` runs as one model.

    409 until the ensemble has succeeded, and for the other formats, which cannot hold several networks.
    """
    job = await jobs.get(job_id, JobKind.ENSEMBLE)
    row = await reading.file(job, "ensemble.pt")
    stem = plain_name(job.name) or str(job.id)
    return await downloads.stored(request, row.stored, stem, wanted)


@router.head("/{job_id}/logits", operation_id="head_ensemble_logits", responses=FILE_RESPONSES)
@router.get("/{job_id}/logits", response_class=Response, responses=FILE_RESPONSES)
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
