"""Manages schedules and shows what they did."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from api.deps import Schedules
from api.http.problems import documented
from api.routes.collection import Cursor, Limit, cut
from api.schedules.service import Run
from api.schemas.schedules import RunList, RunOut, ScheduleCreate, ScheduleList, ScheduleOut, SchedulePatch

router = APIRouter(prefix="/schedules", tags=["schedules"], responses=documented(422, 503))


@router.post("", status_code=201, responses=documented(403, 404, 409))
async def create_schedule(body: ScheduleCreate, schedules: Schedules, response: Response) -> ScheduleOut:
    """Submit a job again and again, at the times of a cron expression. `request` is checked now as `POST` of the kind
    checks it, with the same errors, and each time anew.
    """
    schedule = await schedules.create(body)
    response.headers["Location"] = f"/schedules/{schedule.id}"
    return schedule


@router.get("")
async def list_schedules(schedules: Schedules) -> ScheduleList:
    """All schedules, newest first."""
    return ScheduleList(items=await schedules.list())


@router.get("/{schedule_id}", responses=documented(404))
async def get_schedule(schedule_id: UUID, schedules: Schedules) -> ScheduleOut:
    """One schedule, with its next time and the error of its last one."""
    return await schedules.get(schedule_id)


@router.patch("/{schedule_id}", responses=documented(403, 404, 409))
async def patch_schedule(schedule_id: UUID, patch: SchedulePatch, schedules: Schedules) -> ScheduleOut:
    """Pause or resume a schedule, or change its times or its request."""
    return await schedules.patch(schedule_id, patch)


@router.delete("/{schedule_id}", status_code=204, responses=documented(404))
async def delete_schedule(schedule_id: UUID, schedules: Schedules) -> None:
    """Delete a schedule; its jobs stay."""
    await schedules.delete(schedule_id)


@router.get("/{schedule_id}/runs", responses=documented(404))
async def list_runs(schedule_id: UUID, schedules: Schedules, limit: Limit = 50, cursor: Cursor = None) -> RunList:
    """The jobs that a schedule has submitted, and the times that it left out, newest first: the latest 1,000."""
    found = await schedules.runs(schedule_id, limit=limit + 1, cursor=cursor)
    _, more = cut([run for run, _ in found], limit)
    return RunList(items=[_out(each) for each in found[:limit]], next_cursor=more)


def _out(found: Run) -> RunOut:
    run, status = found
    names = RunOut.model_fields.keys() - {"job", "status"}
    return RunOut(**{name: getattr(run, name) for name in names}, job=run.job_id, status=status)
