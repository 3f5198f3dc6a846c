"""Processes heartbeats: renews the lease, stores the progress and returns a directive."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Double, Interval, Text, Uuid, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from api.db.engine import Database
from api.db.models import Attempt, Job
from api.events.hub import EventHub
from api.events.log import CHANNEL, STEP_ONLY
from api.jobs.claims import hash_of
from api.jobs.fencing import Fence, deleted, foreign, over
from api.schemas.jobs import AttemptStatus
from api.schemas.worker import Directive, Heartbeat

_CACHED: Final = 10_000

# Does all the work of a heartbeat in one statement and transaction, since heartbeats are most of the load. The job's
# row is locked first, as everywhere; the attempt is read under that lock, so that a heartbeat cannot revive an attempt
# that has just ended. The newest progress is stored on the job; the log gets an event only at intervals and only after
# progress, but a new stage at once. The job's row is written even without progress, which yields its status under the
# lock.
_BEAT: Final = text("""
with job as (
    select id, progress from jobs
    where id = (select job_id from attempts where id = :attempt and token_hash = :token_hash)
    for update
), renewed as (
    update attempts set
        lease_expires_at = now() + :lease,
        -- as api/jobs/run_time.py, unless the worker reports it
        seconds = coalesce(:seconds,
            seconds + greatest(extract(epoch from least(now(), lease_expires_at) - renewed_at)::float8, 0)),
        joules = coalesce(:joules, joules),
        renewed_at = now(),
        step_event_at = case
            when :progress is not null
                and (job.progress ->> 'stage' is distinct from :progress ->> 'stage'
                     or ((step_event_at is null or step_event_at <= now() - :between or step_event_at > now())
                         and (job.progress -> 'epoch' is distinct from :progress -> 'epoch'
                              or job.progress -> 'step' is distinct from :progress -> 'step')))
            then now() else step_event_at end
    from job where attempts.id = :attempt and attempts.job_id = job.id and attempts.status = 'running'
    returning attempts.job_id, coalesce(attempts.step_event_at = now(), false) as stepped
), noted as (
    update jobs set progress = coalesce(:progress, jobs.progress), last_sequence = jobs.last_sequence + stepped::int
    from renewed where jobs.id = renewed.job_id
    returning jobs.id, jobs.status, num_nonnulls(jobs.preempted_by, jobs.hold) > 0 as makes_room, jobs.last_sequence,
        stepped
), logged as (
    insert into events (job_id, sequence, kind, data)
    select id, last_sequence, 'step', :progress from noted where stepped
)
select status, makes_room, case when stepped then pg_notify(:channel, id || :step_only)::text end from noted
""").bindparams(
    bindparam("attempt", type_=Uuid()),
    bindparam("lease", type_=Interval()),
    bindparam("between", type_=Interval()),
    bindparam("seconds", type_=Double()),
    bindparam("joules", type_=Double()),
    bindparam("progress", type_=JSONB(none_as_null=True)),
    bindparam("channel", CHANNEL, type_=Text()),
    bindparam("step_only", STEP_ONLY, type_=Text()),
)
_JOB_OF: Final = select(Attempt.job_id).where(Attempt.id == bindparam("attempt"))
_STATE_OF: Final = (
    select(Job.status, func.num_nonnulls(Job.preempted_by, Job.hold) > 0, Attempt.status, Attempt.number)
    .join(Attempt, Attempt.job_id == Job.id)
    .where(Attempt.id == bindparam("attempt"))
)


class HeartbeatService:
    """Processes heartbeats. Raises ProblemError 409 for an ended attempt."""

    def __init__(self, database: Database, fence: Fence, hub: EventHub, step_event_seconds: float) -> None:
        self._database, self._fence, self._hub = database, fence, hub
        self._between_steps = timedelta(seconds=step_event_seconds)
        self._jobs: dict[UUID, UUID] = {}

    async def beat(self, attempt_id: UUID, token: str, beat: Heartbeat) -> Directive:
        """Renew the lease, store the progress and return a directive.

        While the directive is to continue, the response is delayed by up to `beat.hold` seconds until that changes: a
        cancellation reaches the worker at once, and an undisturbed job needs few requests.
        """
        deadline = asyncio.get_running_loop().time() + beat.hold
        with self._hub.watch(await self._job_of(attempt_id)) as changed:
            # Later commits set `changed`.
            directive = await self._beat(attempt_id, token, beat)
            while beat.hold and directive.directive == "continue" and await _set_before(changed, deadline):
                changed.clear()
                directive = await self._directive(attempt_id)
        return directive

    async def _job_of(self, attempt_id: UUID) -> UUID:
        """The id of the attempt's job. It never changes, so it is cached."""
        if (known := self._jobs.get(attempt_id)) is not None:
            return known
        async with self._database.single_statements() as session:
            found = await session.scalar(_JOB_OF, {"attempt": attempt_id})
        if found is None:
            raise foreign()
        while len(self._jobs) >= _CACHED:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[attempt_id] = found
        return found

    async def _beat(self, attempt_id: UUID, token: str, beat: Heartbeat) -> Directive:
        """Apply the heartbeat."""
        given = {
            "attempt": attempt_id,
            "token_hash": hash_of(token),
            "lease": self._fence.lease,
            "between": self._between_steps,
            "seconds": beat.seconds,
            "joules": beat.joules,
            "progress": None if beat.progress is None else beat.progress.model_dump(mode="json"),
        }
        async with self._database.single_statements() as session:
            taken = (await session.execute(_BEAT, given)).one_or_none()
        if taken is not None:
            return Directive.at(taken.status, makes_room=taken.makes_room)
        async with self._fence.passed(attempt_id, token) as (_, job, _attempt):  # raises if the attempt has ended
            return Directive.at(job.status, makes_room=job.makes_room)

    async def _directive(self, attempt_id: UUID) -> Directive:
        """Raises ProblemError 409 if the attempt has ended."""
        async with self._database.single_statements() as session:
            found = (await session.execute(_STATE_OF, {"attempt": attempt_id})).one_or_none()
        if found is None:
            raise deleted()
        status, makes_room, attempt_status, number = found
        if attempt_status != AttemptStatus.RUNNING:
            raise over(number, attempt_status)
        return Directive.at(status, makes_room=makes_room)


async def _set_before(event: asyncio.Event, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            return await event.wait()
    except TimeoutError:
        return False
