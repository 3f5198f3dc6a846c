"""Computes the parameters and multiply-adds of jobs' networks, by which lists are sorted."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.background_tasks import Passed
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.db.models import Epoch, Job
from api.genotypes.network_shape import shape_of_job
from api.genotypes.responses import costs_of
from api.jobs.sort_order import COSTS
from darts_core.genotypes.formats import parse_any

_PAUSE_SECONDS: Final = 2


class CostKeeper:
    """Computes the costs of jobs that are new or have a new cell. Safe to run in every API process."""

    def __init__(self, database: Database, datasets: DatasetService) -> None:
        self._database, self._datasets = database, datasets

    async def run(self, passed: Passed) -> None:
        """Compute them now and then every two seconds, until cancelled."""
        while True:
            while await self.compute():
                pass
            passed()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def compute(self) -> bool:
        """Compute the costs of the first job that lacks them, whose row is locked meanwhile; False if there is none."""
        async with self._database.transaction() as session:
            due = select(Job).where(Job.costs_due).order_by(Job.id).limit(1)
            job = await session.scalar(due.with_for_update(skip_locked=True))
            if job is not None:
                job.costs, job.costs_due = await self._costs(session, job), False
        return job is not None

    async def _costs(self, session: AsyncSession, job: Job) -> dict[str, Any] | None:
        """None for a job without a cell, or on data of a size that only a worker knows."""
        genotype = job.spec.get("genotype")
        if genotype is None:
            latest = select(Epoch.genotype).where(Epoch.job_id == job.id).order_by(Epoch.epoch.desc()).limit(1)
            genotype = await session.scalar(latest)
        if genotype is None:
            return None
        shape = await shape_of_job(job, self._datasets)
        # Counting takes 10 ms.
        found = await asyncio.to_thread(lambda: costs_of(parse_any(genotype), shape))
        return {name: found[name] for name in COSTS} if found else None
