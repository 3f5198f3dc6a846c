"""Submits the jobs of schedules when they are due."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.auth.identities import Holder
from api.auth.principal import LOCAL, Principal, acting
from api.auth.quotas import with_defaults
from api.auth.service import limits_of
from api.background_tasks import Passed
from api.db.engine import Database
from api.db.models import Job, Key, Schedule, ScheduledRun
from api.http.problems import ProblemError, is_unreachable
from api.jobs.service import JobService
from api.kinds import References
from api.schedules.cron import Cron, zone_of
from api.schedules.requests import read
from api.schemas.jobs import Status
from api.schemas.keys import KeyLimits, Role
from api.schemas.schedules import Outcome
from api.webhooks.outbox import tell_owner
from darts_core.errors import ConfigError

_log = structlog.get_logger(__name__)
_SHORTEST_PAUSE_SECONDS: Final = 1.0
# Other processes' schedules become known so late.
_LONGEST_PAUSE_SECONDS: Final = 10.0
_KEPT_RUNS: Final = 1000


class OvertakenError(Exception):
    """Another process has acted at this time, or the schedule has changed."""


@dataclass(frozen=True)
class _Due:
    """A schedule as read before its lock, and the time to act at: after a downtime the latest one that has passed."""

    schedule: Schedule
    next_at: datetime
    planned_at: datetime


class Scheduler:
    """Runs in every API process.

    A job, its run and the schedule's next time are stored in one transaction under the schedule's lock, so each time
    has one outcome, however many processes act and whenever one dies.
    """

    def __init__(
        self, database: Database, jobs: JobService, references: References, limits: KeyLimits, key_days: float
    ) -> None:
        """limits: those of keys that have none of their own. key_days: after which a person has to sign in again."""
        self._database, self._jobs, self._references, self._limits = database, jobs, references, limits
        self._key_days = key_days
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Run a pass now: a schedule is new or has changed."""
        self._nudged.set()

    async def run(self, passed: Passed) -> None:
        """Submit jobs until cancelled."""
        while True:
            pause = await self.submit_due()
            passed()
            try:
                await asyncio.wait_for(self._nudged.wait(), pause)
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def submit_due(self) -> float:
        """Run one pass; returns the seconds until the next one."""
        async with self._database.single_statements() as session:
            query = select(Schedule, func.now()).where(Schedule.next_at <= func.now()).order_by(Schedule.next_at)
            due = [(schedule, now) for schedule, now in await session.execute(query)]
        for schedule, now in due:
            try:
                await self._act(schedule, now)
            except OvertakenError:
                pass
            except Exception as error:  # one schedule's failure must not affect the others
                if is_unreachable(error):
                    raise
                _log.error("schedule_failed", schedule=str(schedule.id), exc_info=error)
        async with self._database.single_statements() as session:
            until_next = func.extract("epoch", func.min(Schedule.next_at) - func.now())
            seconds = await session.scalar(select(until_next).where(Schedule.next_at.is_not(None)))
        return max(_SHORTEST_PAUSE_SECONDS, min(_LONGEST_PAUSE_SECONDS, float(seconds or _LONGEST_PAUSE_SECONDS)))

    async def _act(self, schedule: Schedule, now: datetime) -> None:
        due = _due(schedule, now)
        try:
            async with self._database.single_statements() as session:
                principal = await self._principal(session, schedule)
                earlier = await _unended(session, schedule.id) if schedule.overlap == "skip" else None
            if earlier is not None:
                await self._leave_out(due, Outcome.SKIPPED, f"job {earlier} has not ended")
                return

            async def also(session: AsyncSession, job: Job) -> None:
                await _advance(session, due, Outcome.QUEUED, job=job.id)

            with acting(principal):
                wanted = await read(schedule, self._references)
                await self._jobs.queue(wanted.kind, wanted.frame, wanted.resolved, also=also)
        except (ProblemError, ConfigError) as error:
            await self._leave_out(due, Outcome.REFUSED, str(error))

    async def _leave_out(self, due: _Due, outcome: Outcome, reason: str) -> None:
        async with self._database.transaction() as session:
            await _advance(session, due, outcome, reason=reason)

    async def _principal(self, session: AsyncSession, schedule: Schedule) -> Principal:
        """The creator, with the present role and limits of the key. Raises ProblemError 403 if it submits no more."""
        if schedule.key_id is None:
            return LOCAL if schedule.owner is None else Principal(Role.USER, schedule.owner, limits=self._limits)
        holder = Holder.of((await session.execute(Holder.query().where(Key.id == schedule.key_id))).one())
        key = holder.key
        if key.revoked_at is not None:
            raise ProblemError(403, "the key that created this schedule was revoked: create it again with another key")
        if holder.rests(self._key_days):
            raise ProblemError(403, f"{key.owner} has not signed in for {self._key_days:g} days: sign in again")
        if holder.role is Role.VIEWER:
            raise ProblemError(403, f"{key.owner} is a viewer since the latest login: viewers submit no jobs")
        return Principal(holder.role, key.owner, key.id, with_defaults(limits_of(key), self._limits))


def next_time(schedule: Schedule, moment: datetime) -> datetime | None:
    """When the schedule is due after the moment; None if it is paused or ends before. Raises ValueError for a cron
    expression or a time zone that cannot be read.
    """
    found = Cron(schedule.cron, zone_of(schedule.time_zone)).after(moment)
    if schedule.paused or (schedule.runs is not None and schedule.made >= schedule.runs):
        return None
    return None if found is None or (schedule.until is not None and found > schedule.until) else found


def _due(schedule: Schedule, now: datetime) -> _Due:
    assert schedule.next_at is not None
    last = now if schedule.until is None else min(now, schedule.until)
    missed = Cron(schedule.cron, zone_of(schedule.time_zone)).latest(last)
    planned = schedule.next_at if missed is None else max(schedule.next_at, missed)
    return _Due(schedule, schedule.next_at, planned)


async def _unended(session: AsyncSession, schedule_id: UUID) -> UUID | None:
    """A job of the schedule that has not ended."""
    ended = [status for status in Status if status.ended]
    own = select(Job.id).join(ScheduledRun, ScheduledRun.job_id == Job.id)
    return await session.scalar(own.where(ScheduledRun.schedule_id == schedule_id, Job.status.not_in(ended)).limit(1))


async def _advance(
    session: AsyncSession, due: _Due, outcome: Outcome, *, job: UUID | None = None, reason: str | None = None
) -> None:
    """Store the outcome and the next time. Raises OvertakenError."""
    schedule = await session.get(Schedule, due.schedule.id, with_for_update=True)
    if schedule is None or schedule.next_at != due.next_at:
        raise OvertakenError
    run = ScheduledRun(
        id=uuid7(), schedule_id=schedule.id, planned_at=due.planned_at, outcome=outcome, reason=reason, job_id=job
    )
    session.add(run)
    await session.flush()
    if outcome is Outcome.REFUSED and schedule.error is None:
        about = {"schedule": str(schedule.id), "name": schedule.name, "planned_at": due.planned_at.isoformat()}
        told = f"schedule {schedule.name or schedule.id}: {reason}"
        await tell_owner(session, schedule.owner, "schedule.refused", about, told)
    if outcome is not Outcome.SKIPPED:
        schedule.error = reason
    schedule.made += outcome is Outcome.QUEUED
    now = await session.scalar(select(func.now()))
    assert now is not None
    # No time twice, even if the database's clock was put back.
    schedule.next_at = next_time(schedule, max(now, due.planned_at))
    own = ScheduledRun.schedule_id == schedule.id
    oldest = select(ScheduledRun.id).where(own).order_by(ScheduledRun.id.desc()).offset(_KEPT_RUNS).limit(1)
    await session.execute(delete(ScheduledRun).where(own, ScheduledRun.id <= oldest.scalar_subquery()))
