"""Computes the parameters and multiply-adds of jobs' networks, by which lists are sorted."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy import func, select, update

from api.background_tasks import Passed
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.db.models import Epoch, Job
from api.genotypes.network_shape import shape_of_job
from api.genotypes.responses import costs_of
from api.jobs.sort_order import COSTS
from darts_core.genotypes.formats import parse_any

_PAUSE_SECONDS: Final = 2
_log = structlog.get_logger(__name__)


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
        """Compute the costs of the first job that lacks them; False if there is none.

        Its row is not locked meanwhile, since claims pass over locked rows. After an epoch reported meanwhile
        the costs stay due.
        """
        async with self._database.transaction() as session:
            job = await session.scalar(select(Job).where(Job.costs_due).order_by(Job.id).limit(1))
            if job is None:
                return False
            latest = select(Epoch).where(Epoch.job_id == job.id).order_by(Epoch.epoch.desc()).limit(1)
            epoch = await session.scalar(latest)
        costs = await self._costs(job, job.spec.get("genotype") or (epoch and epoch.genotype))
        last = select(func.max(Epoch.epoch)).where(Epoch.job_id == job.id).scalar_subquery()
        unchanged = last.is_not_distinct_from(None if epoch is None else epoch.epoch)
        async with self._database.transaction() as session:
            found = update(Job).where(Job.id == job.id, unchanged)
            await session.execute(found.values(costs=costs, costs_due=False))
        return True

    async def _costs(self, job: Job, genotype: Any) -> dict[str, Any] | None:
        """None for a job without a cell, or on data of a size that only a worker knows."""
        if genotype is None:
            return None
        shape = await shape_of_job(job, self._datasets)
        try:
            # Counting takes 10 ms.
            found = await asyncio.to_thread(lambda: costs_of(parse_any(genotype), shape))
        except Exception as error:  # one network that cannot be counted holds up no other job's
            _log.warning("costs_not_counted", job=str(job.id), error=f"{type(error).__name__}: {error}"[:300])
            return None
        return {name: found[name] for name in COSTS} if found else None
