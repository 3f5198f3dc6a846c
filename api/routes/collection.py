"""Creates the routes shared by all kinds of jobs for each collection.

Annotations are evaluated here, not postponed, since FastAPI must see the types created in `job_router`.
"""

from inspect import getdoc
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from api.auth.principal import scoped
from api.db.models import Audit, Delivery, Job, ScheduledRun, Upload
from api.deps import Hub, Jobs, Named, Reading
from api.events.job_events import job_stream
from api.events.sse_response import STREAM_ANSWERS, EventStream
from api.http.problems import documented
from api.jobs.listing import Filters
from api.jobs.service import JobService
from api.jobs.sort_order import Cursor as PageEnd
from api.jobs.sort_order import SortOrder
from api.kinds import Kind
from api.schemas.epoch_csv import epochs_csv
from api.schemas.jobs import AttemptList, EpochList, JobExtension, JobKind, JobList, JobOut, JobPatch, LogList, Status
from api.schemas.keys import KeyOut
from api.serializers import attempt_out, epoch_out, job_out, log_line

Row = TypeVar("Row", Job, Upload, KeyOut, Audit, Delivery, ScheduledRun)
JobId = Annotated[UUID, Path(description="the job's id")]
_IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=200, description="makes retries of the request safe"),
]


async def _scoped_key(key: _IdempotencyKey = None) -> str | None:
    return scoped(key)


_CSV_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
IdempotencyKeyHeader = Annotated[str | None, Depends(_scoped_key)]
# Sequences are 64-bit in the database.
Sequence = Annotated[int, Query(ge=0, lt=2**63)]

Label = Annotated[str | None, Query(max_length=401, pattern=r"^[^\x00]*$", description="`key=value` or `key`")]
Words = Annotated[
    str | None,
    Query(
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="all of these words in name, id, kind, data set, family, method, owner, project or labels",
    ),
]
Sort = Annotated[
    str,
    Query(
        max_length=100,
        description="`created_at`, `name`, `parameters`, `multiply_adds`, or a metric of the best epoch, otherwise of "
        "the latest: `test_accuracy`, of one kind's jobs `search.validation_accuracy`. `-` is descending. Jobs without "
        "it come last.",
    ),
]
Owner = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="only this owner's")]
Limit = Annotated[int, Query(ge=1, le=200)]
JobCursor = Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the previous page")]
Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the previous page")]


def cut(found: list[Row], limit: int) -> tuple[list[Row], str | None]:
    """A page and its `next_cursor`, from a query for one row more than the limit."""
    return found[:limit], str(found[limit - 1].id) if len(found) > limit else None


async def page_of(jobs: JobService, filters: Filters, sort: str, limit: int, cursor: str | None) -> JobList:
    """One page of jobs with the cursor of the next."""
    order = SortOrder.read(sort)
    last = None if cursor is None else PageEnd.read(cursor, order)
    found = await jobs.list(filters, order, limit=limit + 1, cursor=last)
    counts = await jobs.counts(filters)
    return JobList(
        items=[job_out(j, whole=False) for j in found[:limit]],
        next_cursor=order.cursor_at(found[limit - 1]) if len(found) > limit else None,
        total=counts.total,
        total_exact=counts.exact,
        counts=counts.by_status,
    )


def routes_of(name: JobKind) -> APIRouter:
    """A router for the routes that only one kind has."""
    return APIRouter(prefix=f"/{name.collection}", tags=[name.collection], responses=documented(422, 503))


def job_router(described: Kind) -> APIRouter:
    """The shared routes of one collection."""
    kind = described.name
    router = routes_of(kind)

    async def found(job_id: JobId, jobs: Jobs) -> Job:
        return await jobs.get(job_id, kind)

    Found = Annotated[Job, Depends(found)]  # noqa: N806 - a type
    Body = described.body  # noqa: N806 - a type

    @router.post(
        "",
        status_code=201,
        operation_id=f"create_{kind}",
        summary=f"Create {kind.title()}",
        description=getdoc(described.resolve),
        responses=documented(*described.refusals),
        openapi_extra={"x-form": described.form_hints()},
    )
    async def create_job(
        body: Body,  # type: ignore[valid-type]
        jobs: Jobs,
        references: Named,
        response: Response,
        key: IdempotencyKeyHeader = None,
    ) -> JobOut:
        submitted = await jobs.submit(described, body, references, idempotency_key=key)
        response.headers["Location"] = f"/{kind.collection}/{submitted.job.id}"
        if submitted.replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return job_out(submitted.job)

    @router.get("", operation_id=f"list_{kind.collection}")
    async def list_jobs(
        jobs: Jobs,
        status: Status | None = None,
        label: Label = None,
        owner: Owner = None,
        q: Words = None,
        sort: Sort = "-created_at",
        limit: Limit = 50,
        cursor: JobCursor = None,
    ) -> JobList:
        """Jobs of this kind, by default newest first. 422 for a metric that no job has."""
        return await page_of(jobs, Filters(kind, status, label, owner=owner, q=q), sort, limit, cursor)

    @router.get("/{job_id}", operation_id=f"get_{kind}", responses=documented(404))
    async def get_job(job: Found) -> JobOut:
        """The job's current state."""
        return job_out(job)

    @router.patch("/{job_id}", operation_id=f"patch_{kind}", responses=documented(404))
    async def patch_job(job_id: JobId, patch: JobPatch, jobs: Jobs) -> JobOut:
        """Change name, labels, notes, priority, preemptible, pinned, max_runtime or times."""
        return job_out(await jobs.patch(job_id, kind, patch))

    @router.delete("/{job_id}", status_code=204, operation_id=f"delete_{kind}", responses=documented(404, 409))
    async def delete_job(job_id: JobId, jobs: Jobs) -> None:
        """Delete an ended job with its epochs, events and files. 409 while it is active."""
        await jobs.delete(job_id, kind)

    @router.post("/{job_id}/cancel", operation_id=f"cancel_{kind}", responses=documented(404, 409))
    async def cancel_job(job_id: JobId, jobs: Jobs) -> JobOut:
        """Cancel the job at once, even within an epoch. 409 if it has ended."""
        return job_out(await jobs.cancel(job_id, kind))

    @router.post("/{job_id}/pause", operation_id=f"pause_{kind}", responses=documented(404, 409))
    async def pause_job(job_id: JobId, jobs: Jobs) -> JobOut:
        """Pause the job after its present epoch. 409 unless it is queued or running."""
        return job_out(await jobs.pause(job_id, kind))

    @router.post("/{job_id}/resume", operation_id=f"resume_{kind}", responses=documented(404, 409))
    async def resume_job(job_id: JobId, jobs: Jobs) -> JobOut:
        """Resume a paused job from its last stored epoch. 409 unless it is paused."""
        return job_out(await jobs.resume(job_id, kind))

    @router.post("/{job_id}/retry", operation_id=f"retry_{kind}", responses=documented(404, 409))
    async def retry_job(job_id: JobId, jobs: Jobs) -> JobOut:
        """Retry a failed or cancelled job from its last stored epoch. 409 for any other status."""
        return job_out(await jobs.retry(job_id, kind))

    @router.post("/{job_id}/extend", operation_id=f"extend_{kind}", responses=documented(404, 409))
    async def extend_job(job_id: JobId, extension: JobExtension, jobs: Jobs) -> JobOut:
        """Give a finished or stopped search or evaluation more epochs: it goes on from its last stored epoch, and
        schedules go by the new number from there on. 409 while it is active, if it has stopped early, and for other
        kinds; 422 unless there are more epochs than now, and for a method whose epochs are divided beforehand.
        """
        return job_out(await jobs.extend(job_id, kind, extension.epochs))

    @router.get(
        "/{job_id}/epochs",
        operation_id=f"list_{kind}_epochs",
        response_model=EpochList,
        responses=_CSV_ANSWER | documented(404),
    )
    async def list_epochs(
        job: Found,
        reading: Reading,
        after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
        wanted: Annotated[
            Literal["json", "csv"], Query(alias="format", description="csv: a column for every metric, without alphas")
        ] = "json",
    ) -> EpochList | Response:
        """Finished epochs after `after`, in order."""
        epochs = [epoch_out(e) for e in await reading.epochs(job.id, after=after, limit=limit)]
        return EpochList(items=epochs) if wanted == "json" else Response(epochs_csv(epochs), media_type="text/csv")

    @router.get("/{job_id}/attempts", operation_id=f"list_{kind}_attempts", responses=documented(404))
    async def list_attempts(job: Found, reading: Reading) -> AttemptList:
        """The job's attempts with their workers and end reasons, latest first."""
        return AttemptList(items=[attempt_out(a) for a in await reading.attempts(job.id)])

    @router.get("/{job_id}/logs", operation_id=f"list_{kind}_logs", responses=documented(404))
    async def list_logs(job: Found, reading: Reading, tail: Annotated[int, Query(ge=1, le=10_000)] = 200) -> LogList:
        """The last log lines of the job."""
        return LogList(items=[log_line(e) for e in await reading.logs(job.id, tail)])

    @router.get(
        "/{job_id}/events",
        operation_id=f"stream_{kind}_events",
        status_code=200,
        response_class=Response,
        responses=STREAM_ANSWERS | documented(404),
    )
    async def stream_events(
        job: Found,
        hub: Hub,
        after: Annotated[Sequence, Query(description="the last sequence already known")] = 0,
        last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
    ) -> EventStream:
        """Stream the job's events: `status`, `epoch`, `step`, `log`, `checkpoint`, `preempted`, for a composite job
        `child`, and `end` when it has ended.
        """
        return job_stream(hub, job, after if last_event_id is None else last_event_id)

    if described.protocol is not None:

        @router.get("/{job_id}/children", operation_id=f"list_{kind}_children", responses=documented(404))
        async def list_children(job: Found, reading: Reading) -> JobList:
            """The children of a composite job, in the order of their creation."""
            children = await reading.children(job)
            return JobList(items=[job_out(child, whole=False) for child in children], next_cursor=None)

    return router
