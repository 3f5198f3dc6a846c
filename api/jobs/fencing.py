"""The fence: whoever reports for an attempt holds the job row's lock, and a token that is still good."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from api.database import Database
from api.jobs.claims import hash_of
from api.jobs.rows import lock_job
from api.models import Attempt, Job
from api.problems import ProblemError, conflict


class Fence:
    """What every report of a worker passes."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database, self.lease = database, timedelta(seconds=lease_seconds)

    @asynccontextmanager
    async def passed(
        self, attempt_id: UUID, token: str, *, repeatable: int | None = None
    ) -> AsyncIterator[tuple[AsyncSession, Job, Attempt]]:
        """The job row locked, and the token known to hold until the commit. Renews the lease.

        repeatable: the number of a report that ends the attempt; sent again, it finds its own work done.
        """
        async with self._database.transaction() as session:
            attempt = await session.get(Attempt, attempt_id)
            if attempt is None or not hmac.compare_digest(attempt.token_hash, hash_of(token)):
                raise ProblemError(403, "this attempt token is not this attempt's")
            job = await lock_job(session, attempt.job_id)
            if job is None:
                raise deleted()
            await session.refresh(attempt)
            if attempt.status != "running":
                if repeatable is not None and attempt.last_report == repeatable:
                    yield session, job, attempt
                    return
                raise over(attempt.number, attempt.status)
            attempt.lease_expires_at = func.now() + self.lease
            yield session, job, attempt


def deleted() -> ProblemError:
    """The answer to a report for a job that is gone."""
    return conflict("the job was deleted: stop working on it")


def over(number: int, status: str) -> ProblemError:
    """The answer to a report for an attempt that has ended."""
    return conflict(f"attempt {number} is over ({status}): stop working on it")
