"""A worker claims a job: the pool's most urgent, oldest row, an attempt number, a token and a lease."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

import structlog
from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts
from api.database import Database
from api.jobs.conditions import QUEUED
from api.jobs.life import move
from api.jobs.rows import checkpoints_of, partials_of
from api.jobs.waker import Waker
from api.models import Attempt, Checkpoint, Job
from api.schemas.jobs import JobKind, Status
from api.schemas.worker import Claim, Claimed, Input, Resume

_log = structlog.get_logger(__name__)


class ClaimService:
    """Hands jobs to workers."""

    def __init__(self, database: Database, artifacts: Artifacts, waker: Waker, lease_seconds: float) -> None:
        self._database, self._artifacts, self._waker, self._lease = database, artifacts, waker, lease_seconds

    async def claim(self, claim: Claim) -> Claimed | None:
        """The job to do now, or None when no queued job fits this worker.

        A locked row is somebody else's claim in progress: it is skipped, not waited for.
        """
        self._waker.claimed(claim.pool, claim.gpus)
        token = secrets.token_urlsafe(32)
        async with self._database.transaction() as session:
            job = await session.scalar(
                select(Job)
                .where(QUEUED, Job.pool == claim.pool, Job.gpus == claim.gpus)
                .order_by(Job.priority.desc(), Job.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if job is None:
                return None
            job.attempt += 1
            job.worker = claim.worker
            # The spec's thread count, or the first attempt's, holds for all: sums depend on it.
            job.threads = job.threads or job.spec.get("threads") or claim.threads
            attempt = Attempt(
                id=uuid7(),
                job_id=job.id,
                number=job.attempt,
                worker=claim.worker,
                token_hash=hash_of(token),
                status="running",
                last_report=0,
                lease_expires_at=func.now() + timedelta(seconds=self._lease),
            )
            session.add(attempt)
            await move(session, job, Status.RUNNING, f"attempt {job.attempt} on {claim.worker}")
            checkpoints = await checkpoints_of(session, job)
            partials = await partials_of(session, job)
        try:
            await self._artifacts.keep_only(
                job.id, [c.key for c in checkpoints + partials], before_attempt=attempt.number
            )
        except OSError as error:  # the claim stands: tidying up can wait for the next one
            _log.warning("leftovers_not_removed", job=str(job.id), error=str(error))
        return Claimed(
            job_id=job.id,
            kind=JobKind(job.kind),
            name=job.name,
            spec=job.spec,
            attempt_id=attempt.id,
            attempt=attempt.number,
            token=token,
            lease_seconds=self._lease,
            threads=job.threads,
            resume=_resume_from(checkpoints, partials),
            inputs=[_input(c) for c in checkpoints if c.epoch == 0],
        )


def hash_of(token: str) -> str:
    """What is stored of a secret: enough to recognise it, not to use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _resume_from(checkpoints: list[Checkpoint], partials: list[Checkpoint]) -> Resume | None:
    """The last whole epoch, or the middle of the one behind it; nothing for a job with inputs, which begins anew."""
    if any(c.epoch == 0 for c in checkpoints):
        return None
    stored = checkpoints[0].epoch if checkpoints else 0
    newest = [p for p in partials if p.epoch >= stored][:1] or checkpoints[:1]
    if not newest:
        return None
    [last] = newest
    return Resume(epoch=last.epoch, step=last.step or 0, file=_file(last), sha256=last.sha256, size=last.size)


def _input(stored: Checkpoint) -> Input:
    """What was given to the job when it was made, as its epoch 0."""
    return Input(name=stored.name, file=_file(stored), sha256=stored.sha256, size=stored.size)


def _file(stored: Checkpoint) -> str:
    return f"{stored.id}.pt"
