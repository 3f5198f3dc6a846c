"""Frees slots for urgent jobs: the running job with the lowest priority saves its state and returns to the queue.

docs/operations.md states the rules. The worker learns of it as of a pause, by its heartbeat.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Double, Integer, and_, case, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.engine import Database
from api.db.models import Attempt, Epoch, Job, Worker
from api.events.log import append
from api.jobs.index_conditions import RUNNING
from api.jobs.queue_order import Urgent, urgent_jobs
from api.jobs.queue_reasons import Waiting
from api.jobs.run_time import run_seconds
from api.kinds import KINDS
from api.metrics.counters import PREEMPTIONS
from api.schemas.jobs import URGENT, Status

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Slot:
    """A live worker. job: the one that it runs. freed_for: the urgent job for which that one saves its state."""

    pools: Collection[str]
    gpus: int
    job: UUID | None = None
    attempt: int = 0
    priority: int = 0
    yields: bool = False
    freed_for: UUID | None = None

    def serves(self, job: Urgent) -> bool:
        """Whether the worker's claim would find the job."""
        return self.gpus == job.gpus and job.pool in self.pools


def assign(urgent: Sequence[Urgent], slots: Collection[Slot]) -> dict[UUID, Slot | None]:
    """The slot that each urgent job gets; None without one. No slot is given twice.

    urgent: in the order of claims. A job keeps the slot that is being freed for it, else takes an idle one, else one
    whose job yields: of those the job with the lowest priority, of equal ones the youngest.
    """
    waiting = {job.id for job in urgent}
    free = list(slots)

    def rank(slot: Slot, job: Urgent) -> tuple[int, int, int] | None:
        if not slot.serves(job) or (slot.freed_for in waiting and slot.freed_for != job.id):
            return None
        if slot.freed_for == job.id:
            return 0, 0, 0
        if slot.job is None or slot.freed_for is not None:  # freed for a job that no longer waits
            return 1, len(slot.pools), 0
        return (2, slot.priority, -slot.job.int) if slot.yields else None

    found: dict[UUID, Slot | None] = {}
    for job in urgent:
        ranked = [(place, at) for at, slot in enumerate(free) if (place := rank(slot, job)) is not None]
        found[job.id] = free.pop(min(ranked)[1]) if ranked else None
    return found


class Preemption:
    """Decides which running jobs make room. Runs in every API process; an advisory lock keeps their decisions apart."""

    def __init__(
        self,
        database: Database,
        *,
        presence_seconds: float,
        remaining_seconds: float,
        again_seconds: float,
    ) -> None:
        """remaining_seconds: a job this near its end keeps its slot. again_seconds: so does one that was preempted
        before, until its attempt has run for so long.
        """
        self._database, self._presence = database, timedelta(seconds=presence_seconds)
        self._remaining, self._again = remaining_seconds, again_seconds

    async def make_room(self, waiting: Waiting) -> bool:
        """Run one pass; returns whether any urgent job waits. waiting: gets the reasons why they do."""
        async with self._database.single_statements() as session:
            if not await urgent_jobs(session, self._presence):
                waiting.urgent = {}
                return False
        async with self._database.transaction() as session:
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("preemption", 0))))
            urgent = await urgent_jobs(session, self._presence)
            assigned = assign(urgent, await self._slots(session))
            preempted = await _ask(session, assigned)
            waiting.urgent = {job_id: _reason(slot) for job_id, slot in assigned.items()}
        for job in preempted:
            PREEMPTIONS.labels(job.pool).inc()
            _log.info("job_preempted", job=str(job.id), priority=job.priority, by=str(job.preempted_by))
        return bool(urgent)

    async def _slots(self, session: AsyncSession) -> list[Slot]:
        """The live workers with their latest attempts."""
        query = (
            select(Worker.pools, Worker.gpus, Job.id, Job.attempt, Job.priority, self._yields(), Job.preempted_by)
            .outerjoin(Attempt, and_(Attempt.worker == Worker.name, RUNNING))
            .outerjoin(Job, Job.id == Attempt.job_id)
            .where(Worker.last_seen > func.now() - self._presence)
            .order_by(Worker.name, Attempt.id.desc())
        )
        rows = await session.execute(query.ext(distinct_on(Worker.name)))
        return [
            Slot(pools, gpus, job_id, attempt, priority, yields, freed_for)
            for pools, gpus, job_id, attempt, priority, yields, freed_for in rows
        ]

    def _yields(self) -> ColumnElement[bool]:
        """The condition that a running job may be preempted."""
        trainings = [name for name, kind in KINDS.items() if kind.trains]
        rested = or_(Job.preemptions == 0, run_seconds() >= self._again)
        far = func.coalesce(_remaining_seconds() > self._remaining, True)
        return func.coalesce(and_(_may_yield(), Job.kind.in_(trainings), rested, far), False)


def _may_yield() -> ColumnElement[bool]:
    asked = or_(Job.preempted_by.is_not(None), Job.hold.is_not(None))
    return and_(Job.status == Status.RUNNING, Job.priority < URGENT, Job.preemptible, ~asked)


def _remaining_seconds() -> ColumnElement[float]:
    """The estimated time to a running job's end: its worker's, else the last epoch's for each that is left."""
    told = Job.progress["eta_seconds"].astext.cast(Double)
    last = select(Epoch.seconds).where(Epoch.job_id == Job.id).order_by(Epoch.epoch.desc()).limit(1)
    left = Job.progress["epochs"].astext.cast(Integer) - Job.progress["epoch"].astext.cast(Integer) + 1
    return case((told.is_not(None), told), else_=left * last.correlate(Job).scalar_subquery())


async def _ask(session: AsyncSession, assigned: dict[UUID, Slot | None]) -> list[Job]:
    """Ask the jobs whose slots are assigned to save their state; returns those asked."""
    taken = {slot.job: (by, slot) for by, slot in assigned.items() if slot and slot.job and slot.freed_for is None}
    if not taken:
        return []
    # Attempts may have ended since. Rows are locked by id, as everywhere.
    same = tuple_(Job.id, Job.attempt).in_([(job_id, slot.attempt) for job_id, (_, slot) in taken.items()])
    query = select(Job).where(same, _may_yield()).order_by(Job.id).with_for_update()
    jobs = list(await session.scalars(query))
    for job in jobs:
        job.preempted_by, _ = taken[job.id]
        job.preemptions += 1
        job.status_reason = f"saves its state and makes room for the urgent job {job.preempted_by}"
        await append(session, job, "preempted", {"by": str(job.preempted_by), "reason": job.status_reason})
    return jobs


def _reason(slot: Slot | None) -> str | None:
    if slot is None:
        return (
            "urgent, but no running job makes room: each is as urgent, not preemptible, near its end, "
            "preempted lately or not a training"
        )
    return None if slot.job is None else f"job {slot.job} saves its state and makes room"
