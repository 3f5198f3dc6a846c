"""Checkpoints by their own id."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.deps import Jobs, Reading, Store
from api.downloads import FILE_ANSWERS, file_answer
from api.problems import documented

router = APIRouter(tags=["checkpoints"], responses=documented(422, 503))


@router.head("/checkpoints/{checkpoint_id}", operation_id="head_checkpoint", responses=FILE_ANSWERS)
@router.get("/checkpoints/{checkpoint_id}", response_class=Response, responses=FILE_ANSWERS)
async def download_checkpoint_by_id(
    request: Request, checkpoint_id: UUID, reading: Reading, jobs: Jobs, store: Store
) -> Response:
    """The file of one checkpoint."""
    checkpoint = await reading.checkpoint_by_id(checkpoint_id)
    return file_answer(request, store, checkpoint, (await jobs.get(checkpoint.job_id)).name)
