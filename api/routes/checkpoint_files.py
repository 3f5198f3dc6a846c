"""Adds the checkpoint routes of a job to the collections of trained kinds.

Annotations are evaluated here, not postponed, since FastAPI must see each kind's default epoch.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import Downloads, Jobs, Reading
from api.http.downloads import FILE_RESPONSES, WantedFile
from api.http.problems import documented
from api.routes.collection import JobId
from api.schemas.jobs import CheckpointList, JobKind
from api.schemas.scores import WhichEpoch
from api.serializers import checkpoint_out


def add_checkpoint_routes(router: APIRouter, kind: JobKind, default: WhichEpoch) -> None:
    """Add `checkpoints` and `checkpoint` below a job. default: the epoch of the file when the request names none."""

    @router.get("/{job_id}/checkpoints", operation_id=f"list_{kind}_checkpoints", responses=documented(404))
    async def list_checkpoints(job_id: JobId, jobs: Jobs, reading: Reading) -> CheckpointList:
        """The kept checkpoints, latest epoch first: the last, an evaluation's best and, with `checkpoint_every: k`,
        each k-th.
        """
        job = await jobs.get(job_id, kind)
        return CheckpointList(items=[checkpoint_out(c) for c in await reading.checkpoints(job) if c.epoch > 0])

    @router.head("/{job_id}/checkpoint", operation_id=f"head_{kind}_checkpoint", responses=FILE_RESPONSES)
    @router.get(
        "/{job_id}/checkpoint",
        operation_id=f"download_{kind}_checkpoint",
        response_class=Response,
        responses=FILE_RESPONSES,
    )
    async def download_checkpoint(
        request: Request,
        job_id: JobId,
        jobs: Jobs,
        reading: Reading,
        downloads: Downloads,
        epoch: Annotated[WhichEpoch, Query()] = default,
        wanted: WantedFile = "torch",
    ) -> Response:
        """The network as a file for `torch.load(weights_only=True)`. 409 while there is none."""
        job = await jobs.get(job_id, kind)
        return await downloads.checkpoint(request, await reading.checkpoint(job, epoch), job.name, wanted)
