"""How much a key may use: requests and uploaded bytes by token buckets in this process, queued jobs by their rows."""

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
    """A token bucket: `capacity` at most, `rate` tokens a second come back."""

    def __init__(self, capacity: float, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity, self.rate, self._clock = capacity, rate, clock
        self._level, self._at = capacity, clock()

    def take(self, tokens: float) -> float:
        """Take them and return 0, or take nothing and return the seconds until they are there."""
        now = self._clock()
        self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
        self._at = now
        if tokens <= self._level:
            self._level -= tokens
            return 0.0
        return (tokens - self._level) / self.rate if self.rate > 0 else math.inf


class Meters:
    """The buckets of every key that this process has met."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[UUID, str], Bucket] = {}

    def request(self, principal: Principal) -> None:
        """Count a request. 429 when they come too fast. A worker's never do: many may share one key."""
        rate = principal.limits.requests_per_second
        if principal.key_id is None or principal.role is Role.WORKER or rate is None:
            return
        bucket = self._bucket(principal.key_id, "requests", max(1.0, rate * _BURST_SECONDS), rate)
        if wait := bucket.take(1):
            raise too_many("requests", f"this key may send {rate:g} requests a second", wait)

    def upload(self, principal: Principal, size: int, *, total: int | None = None) -> None:
        """Count bytes of a file on its way. 429 when the day's are used up, 413 when they are too many for any day.

        total: those of the same file so far, where they come in pieces.
        """
        most = principal.limits.upload_bytes_per_day
        if principal.key_id is None or most is None:
            return
        if (total or size) > most:
            raise ProblemError(413, f"this key may upload {most:,} bytes a day, the file has {total or size:,} or more")
        if wait := self._bucket(principal.key_id, "upload", most, most / _DAY).take(size):
            raise too_many("upload", f"this key may upload {most:,} bytes a day, and has done so", wait)

    def _bucket(self, key_id: UUID, kind: str, capacity: float, rate: float) -> Bucket:
        bucket = self._buckets.get((key_id, kind))
        if bucket is None or (bucket.capacity, bucket.rate) != (capacity, rate):
            bucket = self._buckets[key_id, kind] = Bucket(capacity, rate, self._clock)
        return bucket


async def check_queue(session: AsyncSession, adding: int = 1) -> None:
    """429 when so many more would be more queued jobs than the key of the request's owner allows.

    To be called before anything else of the transaction: requests of one owner pass here one after another.
    """
    principal = current()
    if principal is None or principal.owner is None or principal.limits.queued_jobs is None:
        return
    owner, most = principal.owner, principal.limits.queued_jobs
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"queue of {owner}", 0))))
    # No further than it matters: admins and other keys of the owner may have queued many more.
    counted = select(Job.id).where(QUEUED, Job.owner == owner).limit(most).subquery()
    queued = await session.scalar(select(func.count()).select_from(counted)) or 0
    if queued + adding > most:
        more = f", this would queue {adding} more" if adding > 1 else ""
        there = f"{queued} queued jobs" + (" or more" if queued == most else "")
        raise too_many("queue", f"{owner} has {there}{more}, and this key allows {most}", _QUEUE_RETRY_SECONDS)


def with_defaults(limits: KeyLimits, defaults: KeyLimits) -> KeyLimits:
    """The key's own limits, and the service's where it has none."""
    return KeyLimits(**{**defaults.model_dump(), **limits.model_dump(exclude_none=True)})


def too_many(limit: str, detail: str, seconds: float) -> ProblemError:
    """429, and when to come again; counted by the limit that was reached."""
    RATE_LIMITED.labels(limit).inc()
    wait = max(1, math.ceil(min(seconds, _DAY)))
    return ProblemError(429, f"{detail}: try again in {wait} s", headers={"Retry-After": str(wait)})
