"""Finds the checkpoints that versions of models keep from deletion."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Checkpoint, ModelVersion
from api.http.problems import conflict


async def pinned(session: AsyncSession, checkpoints: Collection[UUID]) -> set[UUID]:
    """Those of the checkpoints that a version keeps."""
    query = select(ModelVersion.checkpoint_id).where(ModelVersion.checkpoint_id.in_(checkpoints))
    return {each for each in await session.scalars(query) if each is not None} if checkpoints else set()


async def check_unpinned(session: AsyncSession, *, jobs: Collection[UUID] = (), uploads: Collection[UUID] = ()) -> None:
    """Raise ProblemError 409 if a version keeps a checkpoint of these jobs, or one of these uploads."""
    own = ModelVersion.checkpoint_id.in_(select(Checkpoint.id).where(Checkpoint.job_id.in_(jobs)))
    query = select(ModelVersion).where(or_(own, ModelVersion.upload_id.in_(uploads))).limit(1)
    if version := await session.scalar(query):
        raise conflict(
            f"version {version.number} of the model {version.model} keeps this checkpoint: delete that version first"
        )
