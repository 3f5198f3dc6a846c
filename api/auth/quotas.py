"""Enforces the quotas of a key: token buckets in this process for requests and uploads, a row count for queued jobs,
and the highest priority of a job.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth.principal import Principal, current
from api.db.models import Job
from api.http.problems import ProblemError
from api.jobs.index_conditions import QUEUED
from api.metrics.counters import RATE_LIMITED
from api.schemas.keys import KeyLimits, Role

_DAY: Final = 86_400.0
_BURST_SECONDS: Final = 5.0
_QUEUE_RETRY_SECONDS: Final = 30


class Bucket:
    """A token bucket with at most `capacity` tokens, refilled at `rate` tokens per second."""

    def __init__(self, capacity: float, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity, self.rate, self._clock = capacity, rate, clock
        self._level, self._at = capacity, clock()

    def take(self, tokens: float) -> float:
        """Take the tokens and return 0, or take none and return the seconds until enough are available."""
        now = self._clock()
        self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
        self._at = now
        if tokens <= self._level:
            self._level -= tokens
            return 0.0
        return (tokens - self._level) / self.rate if self.rate > 0 else math.inf


class Meters:
    """The token buckets of every key that this process has seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[UUID, str], Bucket] = {}

    def request(self, principal: Principal) -> None:
        """Count a request. Raises ProblemError 429 past the rate. Workers are exempt, since many may share one key."""
        rate = principal.limits.requests_per_second
        if principal.key_id is None or principal.role is Role.WORKER or rate is None:
            return
        bucket = self._bucket(principal.key_id, "requests", max(1.0, rate * _BURST_SECONDS), rate)
        if wait := bucket.take(1):
            raise too_many("requests", f"this key may send {rate:g} requests per second", wait)

    def upload(self, principal: Principal, size: int, *, total: int | None = None) -> None:
        """Count uploaded bytes. Raises ProblemError 429 past the daily quota, 413 for a file larger than the quota.

        total: the bytes of the same file so far, if it is counted chunk by chunk.
        """
        most = principal.limits.upload_bytes_per_day
        if principal.key_id is None or most is None:
            return
        if (total or size) > most:
            detail = f"this key may upload {most:,} bytes per day; the file has at least {total or size:,}"
            raise ProblemError(413, detail)
        if wait := self._bucket(principal.key_id, "upload", most, most / _DAY).take(size):
            raise too_many("upload", f"this key has used its {most:,} bytes of uploads per day", wait)

    def _bucket(self, key_id: UUID, kind: str, capacity: float, rate: float) -> Bucket:
        bucket = self._buckets.get((key_id, kind))
        if bucket is None or (bucket.capacity, bucket.rate) != (capacity, rate):
            bucket = self._buckets[key_id, kind] = Bucket(capacity, rate, self._clock)
        return bucket


def check_priority(priority: int) -> None:
    """Raise ProblemError 403 if the current key may not give a job this priority. Admins may any."""
    principal = current()
    if principal is None or principal.role is Role.ADMIN or principal.limits.priority is None:
        return
    most = principal.limits.priority
    if priority > most:
        raise ProblemError(403, f"priority {priority}: this key may give at most {most}; an admin can give more")


async def check_queue(session: AsyncSession, adding: int = 1) -> None:
    """Raise ProblemError 429 if `adding` more queued jobs exceed the quota of the current key.

    Call first in the transaction: an advisory lock serialises the requests of one owner.
    """
    principal = current()
    if principal is None or principal.owner is None or principal.limits.queued_jobs is None:
        return
    owner, most = principal.owner, principal.limits.queued_jobs
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"queue of {owner}", 0))))
    # Counts no further than the quota: admins and the owner's other keys may have queued many more.
    counted = select(Job.id).where(QUEUED, Job.owner == owner).limit(most).subquery()
    queued = await session.scalar(select(func.count()).select_from(counted)) or 0
    if queued + adding > most:
        more = f", this request would queue {adding} more" if adding > 1 else ""
        there = f"{queued} queued jobs" + (" or more" if queued == most else "")
        raise too_many("queue", f"{owner} has {there}{more}, and this key allows {most}", _QUEUE_RETRY_SECONDS)


def with_defaults(limits: KeyLimits, defaults: KeyLimits) -> KeyLimits:
    """The key's own limits, with the service's defaults for those it lacks."""
    return KeyLimits(**{**defaults.model_dump(), **limits.model_dump(exclude_none=True)})


def too_many(limit: str, detail: str, seconds: float) -> ProblemError:
    """A 429 with Retry-After, counted under `limit` in the metrics."""
    RATE_LIMITED.labels(limit).inc()
    wait = max(1, math.ceil(min(seconds, _DAY)))
    return ProblemError(429, f"{detail}: try again in {wait} s", headers={"Retry-After": str(wait)})
