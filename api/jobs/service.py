"""Implements the users' actions on jobs: submit, read, list, cancel, pause, resume, retry, patch and delete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from api.artifacts import Artifacts
from api.auth.quotas import check_priority, check_queue
from api.composite import control
from api.composite.driver import TreeDriver
from api.datasets.references import hold
from api.db.engine import Database, lock_content
from api.db.models import Checkpoint, IdempotencyKey, Job
from api.events.log import notify
from api.http.problems import conflict, not_found
from api.jobs.create import announce_queued, discard, given_file, new_job
from api.jobs.extend import extend
from api.jobs.listing import MOST_COUNTED, Filters, by_age, by_value, counts
from api.jobs.locking import end_attempt, lock_job
from api.jobs.max_runtime import check_runtime
from api.jobs.sort_order import CREATED_AT, NEWEST, Cursor, SortOrder, check_metric
from api.jobs.state_machine import actions_of, check_action, move
from api.jobs.times import check_time_zone, times_changed
from api.jobs.waker import Waker
from api.kinds import Kind, References, Resolved, kind_of
from api.models.pins import check_unpinned
from api.schemas.jobs import AttemptStatus, JobFrame, JobKind, JobPatch, Status

Also = Callable[[AsyncSession, Job], Awaitable[None]]


@dataclass(frozen=True)
class Submitted:
    """A job; replayed: an earlier request with the same Idempotency-Key created it."""

    job: Job
    replayed: bool


@dataclass(frozen=True)
class Counts:
    """Numbers of jobs. exact: whether `total` is; they are counted to `MOST_COUNTED`."""

    by_status: dict[Status, int]
    total: int
    exact: bool


class JobService:
    """Runs each change in one transaction."""

    def __init__(self, database: Database, waker: Waker, artifacts: Artifacts, trees: TreeDriver) -> None:
        self._database, self._waker, self._artifacts, self._trees = database, waker, artifacts, trees

    async def submit(
        self, kind: Kind, body: JobFrame, references: References, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Queue a job from a creating request. Raises the errors of `queue` and of the kind's `resolve`."""
        if idempotency_key is not None:
            # Checked before the request is resolved, since its references may have been deleted.
            async with self._database.single_statements() as session:
                earlier = await _submitted_with(session, idempotency_key, _hash_of(kind.name, body))
            if earlier is not None:
                return Submitted(self._with_queue_reason(earlier), replayed=True)
        resolved = await kind.resolve(body, references)
        return await self.queue(kind, body, resolved, idempotency_key=idempotency_key)

    async def queue(
        self,
        kind: Kind,
        frame: JobFrame,
        resolved: Resolved,
        *,
        idempotency_key: str | None = None,
        also: Also | None = None,
    ) -> Submitted:
        """Store a job and wake a worker. also: is done in the same transaction, once the row exists.

        Raises ProblemError 403 if the key may not give the priority, 409 if the Idempotency-Key was used with another
        body or the data set is deleted, 429 if the owner has reached the key's quota of queued jobs.
        """
        check_priority(frame.priority)
        job = new_job(kind.name, frame, resolved.spec.model_dump(mode="json"), resolved.source)
        body_hash = _hash_of(kind.name, frame)
        try:
            own = [await given_file(self._artifacts, job, name, stored) for name, stored in resolved.files.items()]
            submitted = await self._enter(job, own, body_hash, resolved.source, idempotency_key, also)
        except BaseException:
            if resolved.files:
                await discard(self._database, self._artifacts, job.id)
            raise
        return Submitted(self._with_queue_reason(submitted.job), submitted.replayed)

    async def _enter(
        self,
        job: Job,
        own: list[Checkpoint],
        body_hash: str,
        source: UUID | None,
        idempotency_key: str | None,
        also: Also | None,
    ) -> Submitted:
        """Store the rows. For a known Idempotency-Key, delete the copied files and return the earlier job."""
        try:
            async with self._database.transaction() as session:
                if own:
                    await lock_content(session, str(job.id))
                if idempotency_key and (earlier := await _submitted_with(session, idempotency_key, body_hash)):
                    await self._artifacts.delete_job(job.id)
                    return Submitted(earlier, replayed=True)
                await check_queue(session, _queued_by(job))
                if job.window is not None:
                    await check_time_zone(session, job.time_zone)
                await hold(session, job.spec)
                session.add(job)
                await session.flush()
                session.add_all(own)
                await announce_queued(session, job)
                if _is_composite(job):
                    await move(session, job, Status.RUNNING)
                if also is not None:
                    await also(session, job)
                if idempotency_key:
                    session.add(IdempotencyKey(key=idempotency_key, body_hash=body_hash, job_id=job.id))
                await _refreshed(session, job)
        except IntegrityError as error:
            # Either a concurrent request with the same key won, or the source has just been deleted.
            async with self._database.transaction() as session:
                if idempotency_key and (earlier := await _submitted_with(session, idempotency_key, body_hash)):
                    await self._artifacts.delete_job(job.id)
                    return Submitted(earlier, replayed=True)
            raise not_found("job", source) from error
        self._nudge(job)
        return Submitted(job, replayed=False)

    async def get(self, job_id: UUID, kind: JobKind | None = None) -> Job:
        """The job. Raises ProblemError 404 if there is no job of this kind with this id."""
        async with self._database.single_statements() as session:
            job = await session.get(Job, job_id)
        if job is None or (kind is not None and job.kind != kind):
            raise not_found(kind or "job", job_id)
        return self._with_queue_reason(job)

    async def list(
        self, filters: Filters, order: SortOrder = NEWEST, *, limit: int, cursor: Cursor | None = None
    ) -> list[Job]:
        """Jobs behind the cursor, in this order. Raises ProblemError 422 for a metric that no job has."""
        async with self._database.single_statements() as session:
            if order.key == CREATED_AT:
                last = None if cursor is None else cursor.id
                query = by_age(filters, limit=limit, cursor=last, descending=order.descending)
                found = list(await session.scalars(query))
            else:
                await check_metric(session, order)
                found = await _by_value(session, filters, order, limit, cursor)
        return [self._with_queue_reason(job) for job in found]

    async def counts(self, filters: Filters) -> Counts:
        """How many jobs there are by status; `filters.status` limits `total` alone."""
        async with self._database.single_statements() as session:
            found = {Status(status): number for status, number in await session.execute(counts(filters))}
        total = sum(found.values()) if filters.status is None else found.get(filters.status, 0)
        return Counts(found, min(total, MOST_COUNTED), total <= MOST_COUNTED)

    async def cancel(self, job_id: UUID, kind: JobKind) -> Job:
        """Cancel the job at once, which invalidates its attempt's token."""
        async with self._database.transaction() as session:
            job = await self._lock(session, job_id, kind)
            check_action(job, "cancel")
            await move(session, job, Status.CANCELLED, "cancelled by request")
            await end_attempt(session, job, AttemptStatus.CANCELLED, "cancelled by request")
            if _is_composite(job):
                await control.cancel_children(session, job)
            return await _refreshed(session, job)

    async def pause(self, job_id: UUID, kind: JobKind) -> Job:
        """Pause a queued job at once, a running one after its present epoch, a composite one after its last child."""
        async with self._database.transaction() as session:
            job = await self._lock(session, job_id, kind)
            check_action(job, "pause")
            to = Status.PAUSING if job.status == Status.RUNNING else Status.PAUSED
            if _is_composite(job) and to is Status.PAUSING and await control.pause_children(session, job):
                to = Status.PAUSED
            await move(session, job, to, "paused by request")
            return await _refreshed(session, job)

    async def resume(self, job_id: UUID, kind: JobKind) -> Job:
        """Requeue a paused job, which resumes from its last stored epoch."""
        return await self._requeue(job_id, kind, "resume", "resumed by request")

    async def retry(self, job_id: UUID, kind: JobKind) -> Job:
        """Requeue a failed or cancelled job, which resumes from its last stored epoch."""
        return await self._requeue(job_id, kind, "retry", "retried by request")

    async def _requeue(self, job_id: UUID, kind: JobKind, action: str, reason: str) -> Job:
        async with self._database.transaction() as session:
            await check_queue(session)
            job = await self._lock(session, job_id, kind)
            check_action(job, action)
            before = job.status
            await check_runtime(session, job)
            await hold(session, job.spec)
            job.error, job.lost_attempts = None, 0
            await move(session, job, Status.QUEUED, reason)
            if _is_composite(job):
                await move(session, job, Status.RUNNING, reason)
                again = control.resume_children if before == Status.PAUSED else control.retry_children
                await again(session, job)
            await _refreshed(session, job)
        self._nudge(job)
        return self._with_queue_reason(job)

    async def extend(self, job_id: UUID, kind: JobKind, epochs: int) -> Job:
        """Give an ended or paused training more epochs and requeue it. Raises ProblemError 409, ConfigError."""
        async with self._database.transaction() as session:
            await check_queue(session)
            job = await self._lock(session, job_id, kind)
            check_action(job, "extend")
            await check_runtime(session, job)
            await hold(session, job.spec)
            dropped = await extend(session, job, epochs)
            await move(session, job, Status.QUEUED, f"extended to {epochs:,} epochs by request")
            await _refreshed(session, job)
        await self._artifacts.discard(dropped)
        self._nudge(job)
        return self._with_queue_reason(job)

    async def patch(self, job_id: UUID, kind: JobKind, patch: JobPatch) -> Job:
        """Change the given fields. Raises ProblemError 403 if the key may not give the priority."""
        if "priority" in patch.model_fields_set:
            check_priority(patch.priority)
        async with self._database.transaction() as session:
            if "time_zone" in patch.model_fields_set:
                await check_time_zone(session, patch.time_zone)
            job = await self._lock(session, job_id, kind)
            for field in patch.model_fields_set:
                value = getattr(patch, field)
                setattr(job, field, {} if field == "labels" and value is None else value)
            times_changed(job)
            if _is_composite(job):
                await control.patch_children(session, job, patch)
            await _refreshed(session, job)
        self._waker.nudge()  # the job may be urgent now
        return self._with_queue_reason(job)

    async def pin_checkpoint(self, checkpoint_id: UUID, *, pinned: bool) -> Checkpoint:
        """Pin or unpin the checkpoint of a whole epoch. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            found = await session.get(Checkpoint, checkpoint_id)
            if found is not None:
                await lock_job(session, found.job_id)
                found = await session.get(Checkpoint, checkpoint_id, populate_existing=True)
            if found is None or found.step is not None or found.epoch == 0:
                raise not_found("checkpoint", checkpoint_id)
            found.pinned = pinned
        return found

    async def delete(self, job_id: UUID, kind: JobKind) -> None:
        """Delete an ended job and its children. Rows are deleted before files, so no row names a missing file."""
        async with self._database.transaction() as session:
            await _lock_parent(session, job_id)
            job = await self._lock(session, job_id, kind)
            if "delete" not in actions_of(job):
                raise conflict(f"the job is {job.status}; only ended jobs can be deleted: cancel it first")
            children = await control.ended_children(session, job) if _is_composite(job) else []
            jobs = (*children, job)
            await check_unpinned(session, jobs=[each.id for each in jobs])
            for each in jobs:
                await session.delete(each)
                await notify(session, each.id)
        for each in jobs:
            await discard(self._database, self._artifacts, each.id)

    def _nudge(self, job: Job) -> None:
        """Run the tasks that advance the job."""
        self._waker.nudge()
        if _is_composite(job):
            self._trees.nudge(job.id)

    def _with_queue_reason(self, job: Job) -> Job:
        """The job, detached, with the reason why it waits in the queue."""
        if job.status == Status.QUEUED:
            reason = self._waker.waiting.also(job.status_reason, job.id, job.pool, job.gpus)
            set_committed_value(job, "status_reason", reason)
        return job

    async def _lock(self, session: AsyncSession, job_id: UUID, kind: JobKind) -> Job:
        job = await lock_job(session, job_id)
        if job is None or job.kind != kind:
            raise not_found(kind, job_id)
        return job


async def _refreshed(session: AsyncSession, job: Job) -> Job:
    """The job with the values set by the database, read in the writing transaction to save another one."""
    await session.flush()
    await session.refresh(job)
    return job


async def _lock_parent(session: AsyncSession, job_id: UUID) -> None:
    """Lock the job's composite parent, if any; always before the child. Raises ProblemError 409 while it is active."""
    parent_id = await session.scalar(select(Job.parent_id).where(Job.id == job_id))
    parent = None if parent_id is None else await lock_job(session, parent_id)
    if parent is not None and not parent.status.ended:
        raise conflict(f"the {parent.kind} {parent.id} that it belongs to is {parent.status}: cancel that one first")


def _is_composite(job: Job) -> bool:
    return kind_of(job).protocol is not None


def _queued_by(job: Job) -> int:
    """The largest number of jobs that this one queues at a time; a composite job queues its children in stages."""
    protocol = kind_of(job).protocol
    return 1 if protocol is None else protocol.at_once(job.spec)


async def _by_value(
    session: AsyncSession, filters: Filters, order: SortOrder, limit: int, cursor: Cursor | None
) -> list[Job]:
    """A page, whose jobs without the order's value come last."""
    found: list[Job] = []
    last = None
    if cursor is None or cursor.value is not None:
        found += await session.scalars(by_value(filters, order, limit=limit, cursor=cursor))
    else:
        last = cursor.id
    if left := limit - len(found):
        found += await session.scalars(by_age(filters, limit=left, cursor=last, without=order))
    return found


async def _submitted_with(session: AsyncSession, key: str, body_hash: str) -> Job | None:
    known = await session.get(IdempotencyKey, key)
    if known is None:
        return None
    if known.body_hash != body_hash:
        raise conflict("this Idempotency-Key was used before with another body; use a new key for a new job")
    return await session.get(Job, known.job_id)


def _hash_of(kind: JobKind, frame: JobFrame) -> str:
    body: dict[str, Any] = {"kind": kind, **frame.model_dump(mode="json", exclude_unset=True)}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
