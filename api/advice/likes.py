"""Estimates the seconds of a training's epoch from the last like job on a device of the pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.datasets.service import DatasetService
from api.db.engine import Database
from api.db.models import Attempt, Epoch, Job, Worker
from api.schemas.jobs import JobKind, Status
from darts_core.configs.methods import METHODS
from darts_core.data.catalogue import BUILT_IN, DatasetInfo
from darts_core.profile.specs import evaluation_multiply_adds, search_multiply_adds

# Jobs that are looked at, the latest first.
_MOST: Final = 50
_MULTIPLY_ADDS: Final[Mapping[JobKind, Callable[[Mapping[str, Any], DatasetInfo], int]]] = {
    JobKind.SEARCH: search_multiply_adds,
    JobKind.EVALUATION: evaluation_multiply_adds,
}


@dataclass(frozen=True)
class EpochTime:
    """seconds: of an epoch; None if nothing like it has run. job: from whose epochs it follows. how: in words."""

    seconds: float | None
    job: UUID | None
    how: str


class LikeJobs:
    """Finds the jobs on the devices of a pool's workers, whether these are alive or not."""

    def __init__(self, database: Database, datasets: DatasetService) -> None:
        self._database, self._datasets = database, datasets

    async def epoch_time(self, kind: JobKind, spec: Mapping[str, Any], info: DatasetInfo, pool: str) -> EpochTime:
        """The seconds of an epoch of a resolved spec of images: the median epoch of the last like job, times the
        quotients of training images and of multiply-adds an image.

        A search is like another of the same order: the last one by the same method, or else by any.
        """
        async with self._database.single_statements() as session:
            devices = list(await session.scalars(select(Worker.device).where(Worker.pools.contains([pool])).distinct()))
            jobs = await _jobs(session, kind, devices) if devices else []
            if kind == JobKind.SEARCH:
                jobs = [job for job in jobs if _is_like(job.spec, spec)]
                jobs.sort(key=lambda job: job.spec["method"] != spec["method"])
            for job in jobs:
                known = await self._datasets.info_of_spec(job.spec) or BUILT_IN.get(job.spec["dataset"])
                if known is not None:
                    return _scaled(kind, job, await _epoch_seconds(session, job), known, spec, info)
        if not devices:
            return EpochTime(None, None, f"unknown here: no worker has served the pool {pool}")
        return EpochTime(None, None, "unknown here: nothing like it has run; one epoch of it tells")


async def _jobs(session: AsyncSession, kind: JobKind, devices: Sequence[str]) -> list[Job]:
    """The latest jobs of images on one GPU of these devices with a finished epoch in their last attempt."""
    last = (Attempt.job_id == Job.id) & (Attempt.number == Job.attempt)
    there = exists().where(last, Worker.name == Attempt.worker, Worker.device.in_(devices))
    timed = exists().where(Epoch.job_id == Job.id, Epoch.attempt == Job.attempt)
    query = select(Job).where(
        Job.kind == kind,
        Job.status.in_((Status.SUCCEEDED, Status.RUNNING)),
        Job.gpus == 1,
        Job.spec["family"].astext == "cnn",
        ~Job.spec.has_key("select"),
        there,
        timed,
    )
    return list(await session.scalars(query.order_by(Job.id.desc().nulls_last()).limit(_MOST)))


def _is_like(other: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether a search trains by steps of the same order. Those of early versions name no method, and are not."""
    method = METHODS.get(other.get("method", ""))
    return method is not None and method.trains and other.get("order") == spec["order"]


async def _epoch_seconds(session: AsyncSession, job: Job) -> float:
    median = func.percentile_cont(0.5).within_group(Epoch.seconds)
    found = await session.scalar(select(median).where(Epoch.job_id == job.id, Epoch.attempt == job.attempt))
    assert found is not None
    return float(found)


def _scaled(
    kind: JobKind, job: Job, seconds: float, known: DatasetInfo, spec: Mapping[str, Any], info: DatasetInfo
) -> EpochTime:
    images = _images(kind, spec, info) / _images(kind, job.spec, known)
    multiply_adds = _MULTIPLY_ADDS[kind](spec, info) / _MULTIPLY_ADDS[kind](job.spec, known)
    how = (
        f"{seconds:.3g} s an epoch of {kind} {job.id} on {job.spec['dataset']}, times {images:.3g} for the training "
        f"images and {multiply_adds:.3g} for the multiply-adds of an image"
    )
    if kind == JobKind.SEARCH and job.spec["method"] != spec["method"]:
        how += f"; that search is by {job.spec['method']}, whose steps cost another share"
    return EpochTime(seconds * images * multiply_adds, job.id, how)


def _images(kind: JobKind, spec: Mapping[str, Any], info: DatasetInfo) -> float:
    """The training images of an epoch; those of a search train weights or alphas, all of them."""
    return info.train if kind == JobKind.SEARCH else info.train * spec["train_portion"]
