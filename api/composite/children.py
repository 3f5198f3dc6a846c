"""Loads and locks the children of a composite job.

Lock the composite job's row first, then its children's rows by id.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from api.composite.steps import Child
from api.db.models import Attempt, Epoch, Job
from api.jobs.run_time import run_seconds
from api.schemas.jobs import JobKind


async def children_of(session: AsyncSession, tree_id: UUID) -> list[Job]:
    """The children in the order of their creation."""
    return list(await session.scalars(select(Job).where(Job.parent_id == tree_id).order_by(Job.id)))


async def locked_children(session: AsyncSession, tree: Job) -> list[Job]:
    """The children, locked. The caller holds the composite job's lock."""
    query = select(Job).where(Job.parent_id == tree.id).order_by(Job.id).with_for_update()
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def load_children(session: AsyncSession, tree: Job) -> dict[str, Child]:
    """The children by stage, as the protocol sees them."""
    rows = await children_of(session, tree.id)
    genotypes = await _genotypes(session, [j.id for j in rows if j.kind == JobKind.SEARCH and j.status == "succeeded"])
    seconds = await _seconds(session, tree.id)
    history = await _history(session, tree.id) if tree.spec.get("strategy") else {}
    return {
        str(row.stage): Child(
            id=row.id,
            kind=JobKind(row.kind),
            stage=str(row.stage),
            status=row.status,
            status_reason=row.status_reason,
            source=row.source_id,
            spec=row.spec,
            metrics=row.metrics or {},
            best=row.best or {},
            result=row.result,
            genotype=genotypes.get(row.id),
            seconds=seconds.get(row.id, 0.0),
            pause_after=row.pause_after,
            history=history.get(row.id, {}),
        )
        for row in rows
    }


async def _genotypes(session: AsyncSession, searches: list[UUID]) -> dict[UUID, dict[str, Any] | None]:
    query = select(Epoch.job_id, Epoch.genotype).where(Epoch.job_id.in_(searches))
    latest = query.ext(distinct_on(Epoch.job_id)).order_by(Epoch.job_id, Epoch.epoch.desc())
    return {row.job_id: row.genotype for row in await session.execute(latest)} if searches else {}


async def _history(session: AsyncSession, tree_id: UUID) -> dict[UUID, dict[int, dict[str, float]]]:
    """The metrics of all epochs of each search."""
    searches = select(Job.id).where(Job.parent_id == tree_id, Job.kind == JobKind.SEARCH)
    query = select(Epoch.job_id, Epoch.epoch, Epoch.metrics).where(Epoch.job_id.in_(searches))
    found: dict[UUID, dict[int, dict[str, float]]] = {}
    for row in await session.execute(query):
        found.setdefault(row.job_id, {})[row.epoch] = row.metrics
    return found


async def _seconds(session: AsyncSession, tree_id: UUID) -> dict[UUID, float]:
    """GPU seconds of each child: time from claim to end of all attempts, including lost ones, times its GPUs."""
    ran = func.sum(run_seconds())
    query = (
        select(Attempt.job_id, (ran * Job.gpus).label("ran"))
        .join(Job, Job.id == Attempt.job_id)
        .where(Job.parent_id == tree_id)
    )
    return {row.job_id: float(row.ran) for row in await session.execute(query.group_by(Attempt.job_id, Job.gpus))}
