"""Accounts for what jobs have taken of the workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from sqlalchemy import func, select

from api.deps import Db
from api.http.problems import ProblemError, documented
from api.schemas.usage import ShareList, UsageKey, UsageOut, usage_csv
from api.usage.report import usage
from api.usage.shares import half_life, shares

router = APIRouter(prefix="/usage", tags=["operation"])
_CSV_ANSWER: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_SPAN: Final = timedelta(days=30)


@router.get(
    "", response_model=UsageOut, response_model_exclude_unset=True, responses=_CSV_ANSWER | documented(422, 503)
)
async def get_usage(
    database: Db,
    by: Annotated[list[UsageKey] | None, Query(max_length=5, description="`owner` by default; may be repeated")] = None,
    since: Annotated[datetime | None, Query(description="by default 30 days before `until`")] = None,
    until: Annotated[datetime | None, Query(description="now by default; without a time zone it is UTC")] = None,
    wanted: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> UsageOut | Response:
    """What all attempts took, running ones and those of deleted jobs included. 422 unless `since` is before `until`."""
    async with database.transaction() as session:
        start, end = _span(since, until, await session.scalar(select(func.now())) or datetime.now(UTC))
        found = await usage(session, by or ["owner"], start, end)
    return found if wanted == "json" else Response(usage_csv(found), media_type="text/csv")


@router.get("/shares", responses=documented(422, 503))
async def get_shares(database: Db) -> ShareList:
    """What each owner has had of the fleet lately, as the order of the queue counts it, and the owner's held jobs."""
    async with database.single_statements() as session:
        hours = half_life(session) / timedelta(hours=1)
        return ShareList(half_life_hours=hours, items=await shares(session))


def _span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    try:
        end = _in_utc(until) if until else now
        start = _in_utc(since) if since else end - _SPAN
    except OverflowError as error:
        raise ProblemError(422, "since and until must lie between the years 1 and 9999, in UTC too") from error
    if start >= end:
        raise ProblemError(422, f"since, {start.isoformat()}, is not before {end.isoformat()}: give an earlier one")
    return start, end


def _in_utc(given: datetime) -> datetime:
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
