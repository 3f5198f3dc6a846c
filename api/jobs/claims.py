"""Lets a worker claim the first job of its pools, with an attempt number, a fencing token and a lease."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts
from api.db.engine import Database
from api.db.models import Attempt, Checkpoint, Job
from api.http.problems import ProblemError, conflict
from api.jobs.locking import end_attempt, files_of, lock_job
from api.jobs.queue_order import take_next
from api.jobs.resume_checkpoint import Resuming, file_of
from api.jobs.run_time import renew
from api.jobs.state_machine import move
from api.jobs.waker import Waker
from api.schemas.jobs import AttemptStatus, JobKind, Status
from api.schemas.worker import Claim, Claimed, Input

_log = structlog.get_logger(__name__)


class ClaimService:
    """Assigns queued jobs to workers."""

    def __init__(self, database: Database, artifacts: Artifacts, waker: Waker, lease_seconds: float) -> None:
        self._database, self._artifacts, self._waker = database, artifacts, waker
        self._resuming = Resuming(database, artifacts)
        self._lease = timedelta(seconds=lease_seconds)

    async def claim(self, claim: Claim) -> Claimed | None:
        """Claim a job; None if no queued job fits this worker.

        With the token of an earlier claim, returns that claim's job, so a lost response costs no lease. Raises
        ProblemError 409 if that attempt has ended.
        """
        self._waker.claimed(claim.pools, claim.gpus)
        token = claim.token or secrets.token_urlsafe(32)
        try:
            taken = await self._take(claim, token)
        except IntegrityError:  # the same claim arrived twice at once, and the other request won
            taken = await self._take(claim, token)
        if taken is None:
            return None
        job, attempt, stored = taken
        bind_contextvars(job=str(job.id), attempt=str(attempt.id))
        try:
            await self._artifacts.keep_only(job.id, [c.key for c in stored], before_attempt=attempt.number)
        except ProblemError as error:  # the claim stands: the next one removes the leftovers
            _log.warning("leftovers_not_removed", job=str(job.id), error=error.detail)
        try:
            resume = await self._resuming.offer(job, stored)
        except ProblemError as error:
            await self._release(job.id, attempt.id, error.detail)
            raise
        assert job.threads is not None
        return Claimed(
            job_id=job.id,
            kind=JobKind(job.kind),
            name=job.name,
            spec=job.spec,
            attempt_id=attempt.id,
            attempt=attempt.number,
            token=token,
            lease_seconds=self._lease.total_seconds(),
            threads=job.threads,
            pause_after=job.pause_after,
            resume=resume,
            inputs=[_input(c) for c in stored if c.epoch == 0 and c.step is None],
        )

    async def _release(self, job_id: UUID, attempt_id: UUID, why: str) -> None:
        """Requeue a job whose checkpoints cannot be read. An unavailable store does not cost an attempt."""
        async with self._database.transaction() as session:
            job = await lock_job(session, job_id)
            attempt = await session.get(Attempt, attempt_id)
            if job is None or attempt is None or attempt.status != AttemptStatus.RUNNING:
                return
            await end_attempt(session, job, AttemptStatus.RELEASED, why)
            if job.status == Status.RUNNING:
                await move(session, job, Status.QUEUED, why[:500])
            else:
                await move(session, job, Status.PAUSED, job.status_reason)

    async def _take(self, claim: Claim, token: str) -> tuple[Job, Attempt, list[Checkpoint]] | None:
        async with self._database.transaction() as session:
            taken = await self._repeated(session, claim) or await self._next(session, claim, token)
            if taken is None:
                return None
            job, attempt = taken
            whole, partials = await files_of(session, job)
            return job, attempt, [*whole, *partials]

    async def _repeated(self, session: AsyncSession, claim: Claim) -> tuple[Job, Attempt] | None:
        """The job and attempt of an earlier claim with the same token."""
        if claim.token is None:
            return None
        known = await session.scalar(select(Attempt).where(Attempt.token_hash == hash_of(claim.token)))
        if known is None:
            return None
        job = await lock_job(session, known.job_id)
        await session.refresh(known)
        if job is None or known.status != "running" or known.worker != claim.worker:
            raise conflict(f"attempt {known.number} of this token is over ({known.status}): claim with a new one")
        renew(known, self._lease)
        return job, known

    async def _next(self, session: AsyncSession, claim: Claim, token: str) -> tuple[Job, Attempt] | None:
        """The first job that fits."""
        job = await take_next(session, claim.pools, claim.gpus)
        if job is None:
            return None
        job.attempt += 1
        job.worker = claim.worker
        # The thread count of the spec or the first attempt holds for all attempts, since sums depend on it.
        job.threads = job.threads or job.spec.get("threads") or claim.threads
        attempt = Attempt(
            id=uuid7(),
            job_id=job.id,
            number=job.attempt,
            worker=claim.worker,
            token_hash=hash_of(token),
            status=AttemptStatus.RUNNING,
            last_report=0,
            lease_expires_at=func.now() + self._lease,
        )
        session.add(attempt)
        await move(session, job, Status.RUNNING, f"attempt {job.attempt} on {claim.worker}")
        return job, attempt


def hash_of(token: str) -> str:
    """The SHA-256 of a token, as hex. The database stores the hash, not the token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _input(stored: Checkpoint) -> Input:
    """An input file, stored as epoch 0 of the job."""
    return Input(name=stored.name, file=file_of(stored), sha256=stored.sha256, size=stored.size)
