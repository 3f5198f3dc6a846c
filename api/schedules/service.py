"""Creates, lists, changes and deletes schedules, and lists what they did."""

from __future__ import annotations

import json
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.auth.principal import LOCAL, current
from api.auth.quotas import check_priority
from api.db.engine import Database
from api.db.models import Job, Schedule, ScheduledRun
from api.http.problems import conflict, invalid, not_found
from api.jobs.times import check_time_zone
from api.kinds import References
from api.schedules.cron import Cron, zone_of
from api.schedules.requests import read
from api.schedules.scheduler import Scheduler, next_time
from api.schemas.jobs import Status
from api.schemas.schedules import LONGEST_REQUEST, ScheduleCreate, ScheduleOut, SchedulePatch

_MOST: Final = 100
_OF_TIMES: Final = {"cron", "time_zone", "until", "runs", "paused"}
Run = tuple[ScheduledRun, Status | None]


class ScheduleService:
    """Runs each change in one transaction."""

    def __init__(self, database: Database, references: References, scheduler: Scheduler) -> None:
        self._database, self._references, self._scheduler = database, references, scheduler

    async def create(self, body: ScheduleCreate) -> ScheduleOut:
        """Raises ProblemError 422 for a cron expression, time zone or request that no job can be made of, and the
        errors of the request's kind; 409 for too many schedules.
        """
        caller = current() or LOCAL
        fields = {name: getattr(body, name) for name in ScheduleCreate.model_fields}
        schedule = Schedule(id=uuid7(), key_id=caller.key_id, made=0, paused=False, **fields)
        await self._check_request(schedule)
        async with self._database.transaction() as session:
            await _check_number(session)
            await _set_next(session, schedule)
            session.add(schedule)
            await session.flush()
            await session.refresh(schedule)
        self._scheduler.nudge()
        return schedule_out(schedule)

    async def get(self, schedule_id: UUID) -> ScheduleOut:
        """Raises ProblemError 404."""
        async with self._database.single_statements() as session:
            return schedule_out(await _get(session, schedule_id))

    async def patch(self, schedule_id: UUID, patch: SchedulePatch) -> ScheduleOut:
        """Change the given fields. Raises ProblemError 404, and the errors of `create`."""
        given = patch.model_fields_set
        if "request" in given:
            async with self._database.single_statements() as session:
                changed = await _get(session, schedule_id)
            changed.request = patch.request
            await self._check_request(changed)
        async with self._database.transaction() as session:
            schedule = await _get(session, schedule_id, lock=True)
            for field in given:
                setattr(schedule, field, getattr(patch, field))
            if given & _OF_TIMES:
                await _set_next(session, schedule)
            await session.flush()
        self._scheduler.nudge()
        return schedule_out(schedule)

    async def delete(self, schedule_id: UUID) -> None:
        """Delete a schedule; its jobs stay. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            await session.delete(await _get(session, schedule_id, lock=True))

    async def runs(self, schedule_id: UUID, *, limit: int, cursor: UUID | None) -> list[Run]:
        """Runs before the cursor, newest first. Raises ProblemError 404."""
        query = select(ScheduledRun, Job.status).outerjoin(Job, Job.id == ScheduledRun.job_id)
        query = query.where(ScheduledRun.schedule_id == schedule_id).order_by(ScheduledRun.id.desc()).limit(limit)
        async with self._database.single_statements() as session:
            await _get(session, schedule_id)
            found = await session.execute(query if cursor is None else query.where(ScheduledRun.id < cursor))
            return [(run, status) for run, status in found]

    async def list(self) -> list[ScheduleOut]:
        """Newest first."""
        async with self._database.single_statements() as session:
            return [schedule_out(each) for each in await session.scalars(select(Schedule).order_by(Schedule.id.desc()))]

    async def _check_request(self, schedule: Schedule) -> None:
        """Resolve the request as the creation of a job does, and forget the result."""
        size = len(json.dumps(schedule.request))
        if size > LONGEST_REQUEST:
            raise invalid("request", f"has {size:,} characters as JSON: at most {LONGEST_REQUEST:,} are allowed")
        frame = (await read(schedule, self._references)).frame
        check_priority(frame.priority)
        if frame.window is not None:
            async with self._database.single_statements() as session:
                await check_time_zone(session, frame.time_zone)


def schedule_out(schedule: Schedule) -> ScheduleOut:
    names = ScheduleOut.model_fields.keys() - {"state", "project"}
    state = "paused" if schedule.paused else "ended" if schedule.next_at is None else "active"
    fields = {name: getattr(schedule, name) for name in names}
    return ScheduleOut(**fields, state=state, project=schedule.request.get("project"))


async def _get(session: AsyncSession, schedule_id: UUID, *, lock: bool = False) -> Schedule:
    schedule = await session.get(Schedule, schedule_id, with_for_update=lock or None)
    if schedule is None:
        raise not_found("schedule", schedule_id)
    return schedule


async def _check_number(session: AsyncSession) -> None:
    """Raises ProblemError 409. An advisory lock serialises the requests of one owner."""
    owner = (current() or LOCAL).owner
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"schedules of {owner}", 0))))
    own = select(func.count()).select_from(Schedule).where(Schedule.owner.is_not_distinct_from(owner))
    if (await session.scalar(own) or 0) >= _MOST:
        raise conflict(f"you have {_MOST} schedules, which is the most: delete one first")


async def _set_next(session: AsyncSession, schedule: Schedule) -> None:
    """Raises ProblemError 422 for a field by which there is no next time."""
    try:
        zone = zone_of(schedule.time_zone)
    except ValueError as error:
        raise invalid("time_zone", str(error)) from error
    now = await session.scalar(select(func.now()))
    assert now is not None
    try:
        following = Cron(schedule.cron, zone).after(now)
    except ValueError as error:
        raise invalid("cron", str(error)) from error
    if following is None:
        raise invalid("cron", f"{schedule.cron!r}: there is no such time in the next 50 years")
    if schedule.until is not None and following > schedule.until and not schedule.paused:
        raise invalid("until", f"the next time, {following.isoformat(timespec='minutes')}, is later")
    schedule.next_at = next_time(schedule, now)
