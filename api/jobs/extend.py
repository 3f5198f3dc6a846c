"""Gives a training more epochs."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Epoch, Job
from api.http.problems import conflict
from api.jobs.early_stopping import stop_reason
from api.jobs.locking import checkpoints_of, partials_of
from darts_core.configs.common import RunConfig
from darts_core.configs.extensions import extended
from darts_core.configs.selection import search_config_of
from darts_core.families import family_in


async def extend(session: AsyncSession, job: Job, epochs: int) -> list[str]:
    """Change the spec; returns the keys of files to discard. The caller holds the row's lock.

    An epoch that has begun starts over, since its schedules change. Raises ProblemError 409 for a job that has stopped
    early, belongs to a study or a committee, or has no checkpoint of its epochs any more, ConfigError.
    """
    if job.parent_id is not None:
        raise conflict("cannot extend a job of a study or a committee, whose results rest on it: start a copy of it")
    if reason := stop_reason(job):
        raise conflict(f"cannot extend a job that has {reason}: start one without that condition")
    if not any(checkpoint.epoch > 0 for checkpoint in await checkpoints_of(session, job)) and job.metrics:
        raise conflict("cannot extend a job whose checkpoints have been cleared: start a copy of it")
    after = await session.scalar(select(func.max(Epoch.epoch)).where(Epoch.job_id == job.id)) or 0
    job.spec = extended(_config(job), after, epochs).model_dump(mode="json")
    job.error, job.lost_attempts = None, 0
    if job.progress is not None:
        job.progress = {**job.progress, "epoch": after, "epochs": epochs, "eta_seconds": None, "stage": None}
    partials = await partials_of(session, job)
    for checkpoint in partials:
        await session.delete(checkpoint)
    return [checkpoint.key for checkpoint in partials]


def _config(job: Job) -> RunConfig:
    if job.spec.get("select") is not None:
        return search_config_of(job.spec)
    config: RunConfig = family_in(job.spec).config(job.kind, job.spec).model_validate(job.spec)
    return config
