"""Reads the event log."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import select

from api.db.engine import Database
from api.db.models import Event, Job
from api.events.frames import StoredEvent
from api.schemas.jobs import Status

_ACTIVE: Final = [status for status in Status if not status.ended]
BATCH: Final = 500


class LogReader:
    """Read-only queries of the event log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_sequence(self, job_id: UUID) -> int:
        """The last sequence of the job's log; 0 if the job does not exist."""
        async with self._database.single_statements() as session:
            return await session.scalar(select(Job.last_sequence).where(Job.id == job_id)) or 0

    async def read(self, job_id: UUID, after: int) -> list[StoredEvent]:
        """Up to BATCH events after a sequence, in order; fewer mean that there are no more."""
        query = (
            select(Event.job_id, Event.sequence, Event.kind, Event.data)
            .where(Event.job_id == job_id, Event.sequence > after)
            .order_by(Event.sequence)
            .limit(BATCH)
        )
        async with self._database.single_statements() as session:
            return [StoredEvent.of(*row) for row in (await session.execute(query))]

    async def status_at(self, job_id: UUID, sequence: int) -> str | None:
        """The job's status right after the event with this sequence."""
        query = (
            select(Event.data["status"].astext)
            .where(Event.job_id == job_id, Event.kind == "status", Event.sequence <= sequence)
            .order_by(Event.sequence.desc())
            .limit(1)
        )
        async with self._database.single_statements() as session:
            return await session.scalar(query)

    async def active(self) -> dict[UUID, int]:
        """The last sequence of each active job, newest job first."""
        query = select(Job.id, Job.last_sequence).where(Job.status.in_(_ACTIVE)).order_by(Job.id.desc())
        async with self._database.single_statements() as session:
            return {row.id: row.last_sequence for row in await session.execute(query)}

    async def queued_at(self, job_id: UUID) -> int | None:
        """The sequence of the event that last queued an active job; None for other jobs."""
        queued = Event.data["status"].astext == Status.QUEUED
        query = (
            select(Event.sequence)
            .join(Job, Job.id == Event.job_id)
            .where(Event.job_id == job_id, Event.kind == "status", queued, Job.status.in_(_ACTIVE))
            .order_by(Event.sequence.desc())
            .limit(1)
        )
        async with self._database.single_statements() as session:
            return await session.scalar(query)
