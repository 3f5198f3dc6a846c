"""Holds jobs outside their times: before `not_before`, and outside the daily `window`.

A held job is not claimed; a running training saves its state between two steps at the end of its window and returns to
the queue. Every job with times is held when it enters the queue, until a pass finds it open. Postgres computes the time
of day, since it has the time zones; the API's image need not.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, exists, func, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.engine import Database
from api.db.models import Job
from api.events.log import append
from api.http.problems import ProblemError
from api.kinds import KINDS
from api.schemas.jobs import HELD_FOR_TIME, Status

# As the index ix_jobs_timed.
_TIMED: Final[ColumnElement[bool]] = literal_column(
    "(not_before is not null or time_window is not null) and status in ('queued', 'running')"
)
_EARLY: Final[ColumnElement[bool]] = literal_column("coalesce(not_before > now(), false)")
_BEGIN, _END = "split_part(time_window, '-', 1)::time", "split_part(time_window, '-', 2)::time"
_NOW: Final = "(now() at time zone time_zone)::time"
_OUTSIDE: Final[ColumnElement[bool]] = literal_column(
    f"coalesce(not case when {_BEGIN} < {_END} then {_NOW} >= {_BEGIN} and {_NOW} < {_END} "
    f"else {_NOW} >= {_BEGIN} or {_NOW} < {_END} end, false)"
)

_IS_ZONE: Final = text("select exists (select from pg_timezone_names where name = :name)")


class TimeKeeper:
    """Runs in every API process; an advisory lock keeps their passes apart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enforce(self) -> None:
        """Run one pass."""
        async with self._database.single_statements() as session:
            if not await session.scalar(select(exists().select_from(Job).where(_TIMED))):
                return
        async with self._database.transaction() as session:
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("times", 0))))
            # Rows are locked by id, as everywhere.
            query = select(Job, _EARLY, _OUTSIDE).where(_TIMED, _to_change()).order_by(Job.id)
            for job, early, outside in await session.execute(query.with_for_update(of=Job)):
                job.hold = HELD_FOR_TIME if early or outside else None
                job.status_reason = _reason(job, early=early) if job.hold else None
                if job.status == Status.RUNNING:
                    told = {"status": job.status, "reason": job.status_reason, "attempt": job.attempt}
                    await append(session, job, "status", told)


async def check_time_zone(session: AsyncSession, name: str) -> None:
    """Raise ProblemError 422 for a name that the database does not know."""
    if not await session.scalar(_IS_ZONE, {"name": name}):
        raise ProblemError(422, f"time_zone: {name!r} is not known: give a name such as Europe/Berlin, or UTC")


def times_changed(job: Job) -> None:
    """Have the next pass judge a held job anew."""
    if job.hold == HELD_FOR_TIME:
        job.status_reason = None
        if job.not_before is None and job.window is None:
            job.hold = None


def _to_change() -> ColumnElement[bool]:
    closed = or_(_EARLY, _OUTSIDE)
    trainings = [name for name, kind in KINDS.items() if kind.trains]
    free = Job.hold.is_(None) & Job.preempted_by.is_(None)
    held = Job.hold == HELD_FOR_TIME
    untold = Job.status_reason.is_(None) | Job.status_reason.not_like("its times:%")
    return or_(
        held & ~closed,
        held & closed & (Job.status == Status.QUEUED) & untold,
        free & closed & or_(Job.status == Status.QUEUED, Job.kind.in_(trainings)),
    )


def _reason(job: Job, *, early: bool) -> str:
    change = "change them with PATCH"
    if early and job.not_before is not None:
        return f"its times: it waits until {job.not_before.isoformat(timespec='minutes')}, its not_before; {change}"
    return f"its times: it runs at {job.window} {job.time_zone}, its window; {change}"
