"""Loads the jobs of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import case, null, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.compare.sides import Run, Side
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.db.models import Attempt, Epoch, Job, Worker
from api.genotypes.network_shape import shape_of_job
from api.http.problems import not_found
from api.jobs.early_stopping import last_epoch
from api.jobs.run_time import run_seconds
from api.kinds import kind_of
from api.schemas.jobs import JobKind
from darts_core.errors import GenotypeError
from darts_core.genotypes import AnyGenotype, cell_diagnostics, family_of, parse, strengths_of


class Gatherer:
    """Reads the jobs of a comparison; changes nothing."""

    def __init__(self, database: Database, datasets: DatasetService) -> None:
        self._database, self._datasets = database, datasets

    async def sides(self, ids: Sequence[UUID]) -> list[Side]:
        """The jobs in the order of their ids. Raises ProblemError 404 that names an unknown id."""
        async with self._database.transaction() as session:
            found = {job.id: job for job in await session.scalars(select(Job).where(Job.id.in_(ids)))}
            for job_id in ids:
                if job_id not in found:
                    raise not_found("job", job_id)
            read = [(found[i], await _epochs(session, found[i]), await _runs(session, found[i])) for i in ids]
            genotypes = [await _genotype(session, job) for job, _, _ in read]
        shapes = [
            None if genotype is None else await shape_of_job(job, self._datasets)
            for (job, _, _), genotype in zip(read, genotypes, strict=True)
        ]
        return [
            Side(
                id=job.id,
                kind=JobKind(job.kind),
                name=job.name,
                status=job.status,
                status_reason=job.status_reason,
                spec=job.spec,
                gpus=job.gpus,
                planned_epochs=last_epoch(job) if "epochs" in job.spec else None,
                last=job.metrics,
                best=job.best,
                epochs=epochs,
                genotype=genotype,
                shape=shape,
                runs=runs,
            )
            for (job, epochs, runs), genotype, shape in zip(read, genotypes, shapes, strict=True)
        ]


async def _epochs(session: AsyncSession, job: Job) -> dict[int, dict[str, float]]:
    """Metrics by epoch. For searches older than the cell diagnostics, the diagnostics are computed here."""
    diagnosed = Epoch.metrics.has_key("alpha_entropy")
    # The tables of many epochs are large, so they are read only for epochs without diagnostics.
    columns = [
        case((diagnosed, null()), else_=column) for column in (Epoch.alphas, Epoch.reported_strengths, Epoch.genotype)
    ]
    query = select(Epoch.epoch, Epoch.metrics, *columns).where(Epoch.job_id == job.id).order_by(Epoch.epoch)
    found: dict[int, dict[str, float]] = {}
    for epoch, metrics, alphas, reported, cell in await session.execute(query):
        strengths = strengths_of(alphas, reported)
        missing = cell_diagnostics(parse(cell, family_of(job.spec)), strengths) if strengths and cell else {}
        found[epoch] = {**metrics, **missing}
    return found


async def _runs(session: AsyncSession, job: Job) -> tuple[Run, ...]:
    query = (
        select(run_seconds(), Worker.device)
        .outerjoin(Worker, Worker.name == Attempt.worker)
        .where(Attempt.job_id == job.id)
        .order_by(Attempt.number)
    )
    return tuple(Run(float(each), device) for each, device in (await session.execute(query)))


async def _genotype(session: AsyncSession, job: Job) -> AnyGenotype | None:
    """A search's latest cell, or the cell that an evaluation trains."""
    cell: Any = job.spec.get("genotype")
    if kind_of(job).finds_cells:
        query = select(Epoch.genotype).where(Epoch.job_id == job.id).order_by(Epoch.epoch.desc()).limit(1)
        cell = await session.scalar(query)
    try:
        return None if cell is None else parse(cell, family_of(job.spec))
    except GenotypeError:  # the spec's field of this name belongs to another kind
        return None
