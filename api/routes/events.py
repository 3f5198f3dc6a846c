"""Streams the events of many jobs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from api.deps import Hub
from api.events.multiplex import Places, active_stream, jobs_stream
from api.events.sse_response import STREAM_ANSWERS, EventStream
from api.http.problems import documented, invalid_query

router = APIRouter(prefix="/events", tags=["jobs"], responses=documented(422, 503))
_JOB = r"^[0-9a-fA-F-]{32,36}(@[0-9]{1,18})?$"


class Wanted:
    """The jobs of a stream and the positions where it starts."""

    def __init__(
        self,
        job: Annotated[
            list[Annotated[str, Query(pattern=_JOB)]] | None,
            Query(max_length=50, description="a job's id, or `id@sequence` to start after that event"),
        ] = None,
        active: Annotated[bool, Query(description="instead of `job`: all active jobs, including new ones")] = False,
        after: Annotated[str | None, Query(max_length=8000, description="an event's id: start after it")] = None,
        last_event_id: Annotated[str | None, Header(max_length=8000)] = None,
    ) -> None:
        self.active, text = active, last_event_id or after
        self.places = Places.parse(text) if text else None
        if active == bool(job):
            raise invalid_query("job", "give either jobs with `job=ID` or `active=true`")
        if not active and self.places is None:
            self.places = Places(dict(map(_place, job or [])))


def _place(text: str) -> tuple[UUID, int]:
    id_, _, sequence = text.partition("@")
    try:
        return UUID(id_), int(sequence or 0)
    except ValueError as error:
        raise invalid_query("job", f"{id_!r} is not an id") from error


@router.get("", response_class=Response, responses=STREAM_ANSWERS)
async def stream_many_events(wanted: Annotated[Wanted, Depends()], hub: Hub) -> EventStream:
    """Stream live events of several jobs as `{job_id, sequence, data}`, with the event names of a single job's stream.

    An event's id holds the position in each job: `Last-Event-ID` resumes without gaps or duplicates. Each job that ends
    sends `end` once; with `active=true` the stream continues.
    """
    if wanted.active:
        return active_stream(hub, wanted.places)
    assert wanted.places is not None
    return jobs_stream(hub, wanted.places)
