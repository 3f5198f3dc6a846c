"""Finds the checkpoints that their owners and versions of models keep from deletion."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Checkpoint, ModelVersion
from api.http.problems import conflict


async def pinned(session: AsyncSession, checkpoints: Collection[UUID]) -> set[UUID]:
    """Those of the checkpoints that are pinned, or that a version keeps."""
    kept = or_(Checkpoint.pinned, exists().where(ModelVersion.checkpoint_id == Checkpoint.id))
    query = select(Checkpoint.id).where(Checkpoint.id.in_(checkpoints), kept)
    return set(await session.scalars(query)) if checkpoints else set()


async def check_unpinned(session: AsyncSession, *, jobs: Collection[UUID] = (), uploads: Collection[UUID] = ()) -> None:
    """Raise ProblemError 409 if a version keeps a checkpoint of these jobs, or one of these uploads."""
    own = ModelVersion.checkpoint_id.in_(select(Checkpoint.id).where(Checkpoint.job_id.in_(jobs)))
    query = select(ModelVersion).where(or_(own, ModelVersion.upload_id.in_(uploads))).limit(1)
    if version := await session.scalar(query):
        raise conflict(
            f"version {version.number} of the model {version.model} keeps this checkpoint: delete that version first"
        )
