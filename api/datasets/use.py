"""Jobs and the uploaded sets they use: neither goes without the other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.models import Dataset, Job
from api.problems import conflict
from api.schemas.jobs import Status
from darts_core.data.uploaded import uploaded_checksum


async def hold(session: AsyncSession, spec: dict[str, Any]) -> None:
    """Keep the spec's uploaded set from being deleted until this transaction has queued its job.

    Raises ProblemError 409 when it is gone already.
    """
    checksum = uploaded_checksum(spec)
    if checksum is None:
        return
    same = select(Dataset.id).where(Dataset.name == spec["dataset"], Dataset.checksum == checksum)
    if await session.scalar(same.with_for_update(read=True)) is None:
        raise conflict(
            f"the data set {spec['dataset']} with the checksum {checksum} has been deleted: upload the same data "
            "under this name again"
        )


async def unfinished_jobs(session: AsyncSession, dataset: Dataset) -> list[Job]:
    """Some of those that use the set; the caller holds its row's lock."""
    ended = [status for status in Status if status.ended]
    named = Job.spec["text_checksum" if dataset.kind == "text" else "dataset_checksum"]
    using = (named.astext == dataset.checksum) & (Job.spec["dataset"].astext == dataset.name)
    return list(await session.scalars(select(Job).where(using, Job.status.not_in(ended)).limit(3)))
