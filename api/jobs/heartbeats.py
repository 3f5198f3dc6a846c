"""Heartbeats: a worker says that it lives and how far it is, and hears what to do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.database import Database
from api.events.hub import EventHub
from api.events.log import append
from api.jobs.claims import hash_of
from api.jobs.fencing import Fence, deleted, over
from api.models import Attempt, Job, JsonObject
from api.schemas.jobs import Status
from api.schemas.worker import Directive, Heartbeat


class HeartbeatService:
    """Takes heartbeats. 409 for an attempt that is over."""

    def __init__(self, database: Database, fence: Fence, hub: EventHub, step_event_seconds: float) -> None:
        self._database, self._fence, self._hub = database, fence, hub
        self._step_events = timedelta(seconds=step_event_seconds)

    async def beat(self, attempt_id: UUID, token: str, beat: Heartbeat) -> Directive:
        """Renew the lease, note the progress, say what to do.

        With nothing to do but to go on the answer waits up to `beat.hold` seconds for that to change: a cancel
        reaches the worker at once, and a job that goes its way costs next to nothing.
        """
        deadline = asyncio.get_running_loop().time() + beat.hold
        job_id, status = await self._beat(attempt_id, token, beat)
        if not beat.hold or status != Status.RUNNING:
            return Directive.at(status)
        with self._hub.noticing(job_id) as noticed:
            # Once more, now that no change can be missed; then whenever something happened.
            while (status := await self._status_of(attempt_id)) == Status.RUNNING:
                try:
                    async with asyncio.timeout_at(deadline):
                        await noticed.wait()
                except TimeoutError:
                    break
                noticed.clear()
        return Directive.at(status)

    async def _beat(self, attempt_id: UUID, token: str, beat: Heartbeat) -> tuple[UUID, str]:
        if (renewed := await self._renew(attempt_id, token, beat)) is not None:
            return renewed
        async with self._fence.passed(attempt_id, token) as (session, job, attempt):
            if beat.progress is not None:
                await self._note_progress(session, job, attempt, beat.progress.model_dump(mode="json"))
            return job.id, job.status

    async def _status_of(self, attempt_id: UUID) -> str:
        """The job's. 409 when the attempt is over."""
        query = select(Job.status, Attempt.status, Attempt.number).join(Attempt, Attempt.job_id == Job.id)
        async with self._database.transaction() as session:
            found = (await session.execute(query.where(Attempt.id == attempt_id))).tuples().one_or_none()
        if found is None:
            raise deleted()
        status, attempt_status, number = found
        if attempt_status != "running":
            raise over(number, attempt_status)
        return status

    async def _renew(self, attempt_id: UUID, token: str, beat: Heartbeat) -> tuple[UUID, str] | None:
        """What most heartbeats need, in one statement; the job's id and status, None where there is more to do or say.

        The job's row is locked first, as everywhere; the attempt is looked at behind that lock, so that a beat never
        revives an attempt that has just been ended.
        """
        progress = None if beat.progress is None else beat.progress.model_dump(mode="json")
        mine = select(Attempt.job_id).where(Attempt.id == attempt_id, Attempt.token_hash == hash_of(token))
        job = select(Job.id).where(Job.id == mine.scalar_subquery()).with_for_update().cte("job")
        # With progress to note a step event may be due, too.
        calm = [] if progress is None else [Attempt.step_event_at > func.now() - self._step_events]
        renewed = (
            update(Attempt)
            .where(Attempt.id == attempt_id, Attempt.job_id == job.c.id, Attempt.status == "running")
            .where(*calm)
            .values(lease_expires_at=func.now() + self._fence.lease)
            .returning(Attempt.job_id)
            .cte("renewed")
        )
        noted = {} if progress is None else {"progress": progress}
        # Written even when nothing moved: it is what gives the status as it is behind the lock.
        query = (
            update(Job)
            .where(Job.id == renewed.c.job_id)
            .values({"worker": Job.worker, **noted})
            .returning(Job.id, Job.status)
        )
        async with self._database.transaction() as session:
            done = await session.execute(query.execution_options(synchronize_session=False))
            return done.tuples().one_or_none()

    async def _note_progress(self, session: AsyncSession, job: Job, attempt: Attempt, progress: JsonObject) -> None:
        """Keep the newest progress on the job; put it into the log only now and then, and only when it moved."""
        moved = job.progress is None or any(job.progress[k] != progress[k] for k in ("epoch", "step"))
        job.progress = progress
        now = await session.scalar(select(func.now()))
        assert now is not None
        if moved and (attempt.step_event_at is None or now - attempt.step_event_at >= self._step_events):
            attempt.step_event_at = now
            await append(session, job, "step", progress)
