"""Checks an attempt's fencing token under the job row's lock before a report changes anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Interval, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars

from api.db.engine import Database
from api.db.models import Attempt, Job
from api.http.problems import ProblemError, conflict
from api.jobs.claims import hash_of
from api.jobs.run_time import renew, run_seconds
from api.schemas.jobs import AttemptStatus

_MINE: Final = (Attempt.id == bindparam("attempt"), Attempt.token_hash == bindparam("presented"))
_LOCKED_JOB: Final = (
    select(Job).where(Job.id == select(Attempt.job_id).where(*_MINE).scalar_subquery()).with_for_update(of=Job)
)
_RENEW: Final = (
    update(Attempt)
    .where(*_MINE, Attempt.status == AttemptStatus.RUNNING)
    .values(
        lease_expires_at=func.now() + bindparam("lease", type_=Interval()),
        seconds=run_seconds(),
        renewed_at=func.now(),
    )
    .returning(Attempt.job_id, Attempt.number)
    .execution_options(synchronize_session=False)
)


class Fence:
    """Validates fencing tokens and renews leases."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database, self.lease = database, timedelta(seconds=lease_seconds)

    @asynccontextmanager
    async def passed(
        self, attempt_id: UUID, token: str, *, repeatable: int | None = None
    ) -> AsyncIterator[tuple[AsyncSession, Job, Attempt]]:
        """Lock the job row and validate the token until the commit; renews the lease.

        repeatable: the number of a report that ends the attempt; if it is repeated, the ended attempt is accepted.
        Raises ProblemError 403 for a foreign token, 409 for an ended attempt.
        """
        async with self._database.transaction() as session:
            given = {"attempt": attempt_id, "presented": hash_of(token)}
            job = await session.scalar(_LOCKED_JOB, given)
            # Read under the lock, so its state cannot change any more.
            attempt = None if job is None else await session.get(Attempt, attempt_id)
            if job is None or attempt is None:
                raise foreign()
            if attempt.status != AttemptStatus.RUNNING:
                if repeatable is not None and attempt.last_report == repeatable:
                    yield session, job, attempt
                    return
                raise over(attempt.number, attempt.status)
            bind_contextvars(job=str(job.id), attempt=str(attempt.id))
            renew(attempt, self.lease)
            yield session, job, attempt

    async def renew(self, attempt_id: UUID, token: str) -> tuple[UUID, int]:
        """Renew the lease; returns the job's id and the attempt's number. The attempt may end right afterwards."""
        given = {"attempt": attempt_id, "presented": hash_of(token), "lease": self.lease}
        async with self._database.single_statements() as session:
            found = (await session.execute(_RENEW, given)).one_or_none()
        if found is not None:
            job_id, number = found
            return job_id, number
        async with self.passed(attempt_id, token) as (_, job, attempt):
            return job.id, attempt.number  # raises if the attempt has ended


def foreign() -> ProblemError:
    """The response to a token of another attempt, or of a deleted job's attempt."""
    return ProblemError(403, "the token belongs to another attempt")


def deleted() -> ProblemError:
    """The response to a report for a deleted job."""
    return conflict("the job was deleted: stop working on it")


def over(number: int, status: str) -> ProblemError:
    """The response to a report for an ended attempt."""
    return conflict(f"attempt {number} is over ({status}): stop working on it")
