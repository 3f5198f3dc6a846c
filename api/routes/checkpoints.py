"""Serves checkpoints of jobs and uploads by their own ids, and receives uploads."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.artifacts import Stored
from api.checkpoints.upload_form import take
from api.checkpoints.uploads import key_of
from api.deps import Datasets, Downloads, Genotypes, Jobs, Reading, Store, Uploads
from api.http.downloads import FILE_RESPONSES, WantedFile
from api.http.multipart import drain
from api.http.problems import conflict, documented
from api.jobs.id_prefix import IdPrefix
from api.routes.collection import Cursor, Limit, cut
from api.schemas.checkpoints import UploadList, UploadOut
from api.schemas.jobs import CheckpointOut, CheckpointPatch
from api.serializers import checkpoint_out, upload_out

router = APIRouter(prefix="/checkpoints", tags=["checkpoints"], responses=documented(422, 503))
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "genotype": {
            "type": "string",
            "description": "required for a state_dict: a known or registered name, Python text, JSON or mmrazor YAML",
        },
        "dataset": {
            "type": "string",
            "description": "the training data of a state_dict; required for language models, whose vocabulary is that "
            "text's",
        },
        "mean": {
            "type": "string",
            "description": "for a state_dict of images: the mean of each channel of images scaled to 0..1, comma-"
            "separated; default: the data set's, or the authors'",
        },
        "std": {"type": "string", "description": "like mean: the standard deviation of each channel"},
    },
}


@router.post(
    "",
    status_code=201,
    responses=documented(400, 413, 415, 507)
    | {200: {"model": UploadOut, "description": "the file was uploaded before"}},
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def upload_checkpoint(
    request: Request, response: Response, uploads: Uploads, store: Store, genotypes: Genotypes, datasets: Datasets
) -> UploadOut:
    """Upload a checkpoint: one of Dartboard's, or a state_dict of the DARTS authors with its genotype.

    The file is streamed to disk. 422 if it is neither, or contains pickled objects. Repeating an upload returns the
    first one.
    """
    try:
        upload, new = await take(request, uploads, store, genotypes, datasets)
    except Exception:
        await drain(request)
        raise
    response.headers["Location"] = f"/checkpoints/{upload.id}"
    if not new:
        response.status_code = 200
    return upload_out(upload)


@router.get("")
async def list_uploaded_checkpoints(
    uploads: Uploads, id_prefix: IdPrefix = None, limit: Limit = 50, cursor: Cursor = None
) -> UploadList:
    """The uploaded checkpoints, newest first; `GET /evaluations/{id}/checkpoints` lists an evaluation's."""
    page, more = cut(await uploads.list(limit=limit + 1, cursor=cursor, id_prefix=id_prefix), limit)
    return UploadList(items=[upload_out(u) for u in page], next_cursor=more)


@router.patch("/{checkpoint_id}", responses=documented(404, 409))
async def patch_checkpoint(checkpoint_id: UUID, patch: CheckpointPatch, jobs: Jobs, uploads: Uploads) -> CheckpointOut:
    """Pin a job's checkpoint, which then stays until its job is deleted, or unpin it. 409 for an uploaded one, which
    stays until it is deleted.
    """
    if await uploads.find(checkpoint_id) is not None:
        raise conflict("an uploaded checkpoint stays until it is deleted: it needs no pin")
    return checkpoint_out(await jobs.pin_checkpoint(checkpoint_id, pinned=patch.pinned))


@router.delete("/{checkpoint_id}", status_code=204, responses=documented(404, 409))
async def delete_uploaded_checkpoint(checkpoint_id: UUID, uploads: Uploads, reading: Reading) -> None:
    """Delete an uploaded checkpoint; its scores remain. 409 for a job's checkpoint, which is deleted with its job."""
    if await uploads.find(checkpoint_id) is None:
        checkpoint = await reading.checkpoint_by_id(checkpoint_id)
        raise conflict(f"this checkpoint belongs to the job {checkpoint.job_id}: it is deleted with the job")
    await uploads.delete(checkpoint_id)


@router.head("/{checkpoint_id}", operation_id="head_checkpoint", responses=FILE_RESPONSES)
@router.get("/{checkpoint_id}", response_class=Response, responses=FILE_RESPONSES)
async def download_checkpoint_by_id(
    request: Request,
    checkpoint_id: UUID,
    reading: Reading,
    uploads: Uploads,
    jobs: Jobs,
    downloads: Downloads,
    wanted: WantedFile = "torch",
) -> Response:
    """Download a checkpoint."""
    if upload := await uploads.find(checkpoint_id):
        stored = Stored(key_of(upload.sha256), upload.sha256, upload.size)
        ending = ".safetensors" if upload.name.endswith(".safetensors") else ".pt"
        return await downloads.stored(request, stored, str(upload.id), wanted, ending)
    checkpoint = await reading.checkpoint_by_id(checkpoint_id)
    job = await jobs.get(checkpoint.job_id)
    return await downloads.checkpoint(request, checkpoint, job.name, wanted)
