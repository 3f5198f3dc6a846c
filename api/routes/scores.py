"""Serves the files of scores: the measured checkpoint and the logits."""

from __future__ import annotations

from fastapi import Request, Response

from api.deps import Downloads, Jobs, Reading
from api.http.downloads import FILE_RESPONSES, WantedFile, plain_name
from api.routes.collection import JobId, routes_of
from api.schemas.jobs import JobKind

router = routes_of(JobKind.SCORE)


@router.head("/{job_id}/checkpoint", operation_id="head_score_checkpoint", responses=FILE_RESPONSES)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_RESPONSES)
async def download_measured_checkpoint(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads, wanted: WantedFile = "torch"
) -> Response:
    """The measured checkpoint: the score's own copy, independent of the training or upload."""
    job = await jobs.get(job_id, JobKind.SCORE)
    given = await reading.given(job, "given.pt")
    return await downloads.stored(request, given.stored, plain_name(job.name) or str(job.id), wanted)


@router.head("/{job_id}/logits", operation_id="head_logits", responses=FILE_RESPONSES)
@router.get("/{job_id}/logits", response_class=Response, responses=FILE_RESPONSES)
async def download_logits(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads
) -> Response:
    """A safetensors file of `logits`, float32 (N, classes), and `labels`, int64 (N,), in the data set's order.

    For a language model, whose logits would hold a number for each word of the vocabulary, it contains the part that
    perplexities and ensembles need: `log_probabilities`, float32 (N,), of the actual words, and `targets`, int64 (N,),
    their indices in the vocabulary, in the text's order. 409 until the score has succeeded.
    """
    job = await jobs.get(job_id, JobKind.SCORE)
    row = await reading.file(job, "logits.safetensors")
    stem = plain_name(job.name) or str(job.id)
    return await downloads.file(request, row.stored, f"{stem}-logits.safetensors")
