"""Serves workers: presence, claims, heartbeats, reports and files (docs/architecture.md, contracts 2 to 4)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Request, Response

from api.deps import Attempts, AttemptToken, Claims, Datasets, Files, Heartbeats, WorkerDownloads, Workers
from api.http.downloads import FILE_RESPONSES
from api.http.problems import ProblemError, documented
from api.schemas.worker import (
    Claim,
    Claimed,
    DamagedFile,
    Directive,
    EpochReport,
    Fail,
    FileName,
    Finish,
    Heartbeat,
    LogReport,
    Offer,
    PartialReport,
    Presence,
    Release,
    Sha256,
    StoredFile,
)

router = APIRouter(prefix="/worker", tags=["worker side"], responses=documented(422, 503))
_FENCED = documented(409)
_GIVEN = FILE_RESPONSES | documented(410)
Name = Annotated[FileName, Path()]


@router.post("/presence", status_code=204)
async def note_presence(body: Presence, workers: Workers) -> None:
    """Register as a live worker, which can be woken."""
    await workers.note(body)


@router.post(
    "/claim",
    response_model=Claimed,
    responses={204: {"description": "no queued job fits this worker"}, **_FENCED},
)
async def claim_job(body: Claim, claims: Claims) -> Claimed | Response:
    """Claim the first queued job that fits, with a lease. 409 if the token's earlier attempt has ended."""
    return await claims.claim(body) or Response(status_code=204)


@router.post("/attempts/{attempt_id}/heartbeat", responses=_FENCED)
async def beat(attempt_id: UUID, token: AttemptToken, body: Heartbeat, heartbeats: Heartbeats) -> Directive:
    """Renew the lease. 409 if the attempt has ended: stop."""
    return await heartbeats.beat(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/epochs", responses=_FENCED)
async def report_epoch(attempt_id: UUID, token: AttemptToken, body: EpochReport, attempts: Attempts) -> Directive:
    """Report a finished epoch. 409 also if its checkpoint is not stored."""
    return await attempts.report_epoch(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/partials", responses=_FENCED)
async def report_partial(attempt_id: UUID, token: AttemptToken, body: PartialReport, attempts: Attempts) -> Directive:
    """Report a partial checkpoint. 409 also if it is not stored or belongs to another epoch."""
    return await attempts.report_partial(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/logs", responses=_FENCED)
async def report_logs(attempt_id: UUID, token: AttemptToken, body: LogReport, attempts: Attempts) -> Directive:
    """Report log lines."""
    return await attempts.report_logs(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/finish", status_code=204, responses=_FENCED)
async def finish(attempt_id: UUID, token: AttemptToken, body: Finish, attempts: Attempts) -> None:
    """Report success. 409 while an epoch is missing."""
    await attempts.finish(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/fail", status_code=204, responses=_FENCED)
async def fail(attempt_id: UUID, token: AttemptToken, body: Fail, attempts: Attempts) -> None:
    """Report that the attempt failed or was lost."""
    await attempts.fail(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/release", status_code=204, responses=_FENCED)
async def release(attempt_id: UUID, token: AttemptToken, body: Release, attempts: Attempts) -> None:
    """Release the job; the attempt does not count as lost."""
    await attempts.release(attempt_id, token, body)


@router.post("/attempts/{attempt_id}/damaged", responses=_FENCED)
async def report_damaged(attempt_id: UUID, token: AttemptToken, body: DamagedFile, files: Files) -> Offer:
    """Report a damaged checkpoint and get the newest intact one."""
    return await files.report_damaged(attempt_id, token, body)


@router.put(
    "/attempts/{attempt_id}/files/{name}",
    status_code=201,
    responses=_FENCED | documented(413, 507),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
)
async def upload(
    attempt_id: UUID,
    name: Name,
    token: AttemptToken,
    request: Request,
    files: Files,
    content_length: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> StoredFile:
    """Stream a file of this attempt to the store. 507 without space: the job then pauses."""
    return await files.store_file(attempt_id, token, name, request.stream(), content_length)


@router.get("/attempts/{attempt_id}/files/{name}", response_class=Response, responses=_FENCED | _GIVEN)
async def download_resume_file(
    request: Request,
    attempt_id: UUID,
    name: Name,
    token: AttemptToken,
    files: Files,
    downloads: WorkerDownloads,
) -> Response:
    """The checkpoint to resume from, under the name in the claim. 410 if it is damaged or missing."""
    return await _intact(downloads.file(request, await files.given_file(attempt_id, token, name), name))


@router.get("/datasets/{checksum}", response_class=Response, responses=_GIVEN)
async def download_dataset(
    request: Request, checksum: Annotated[Sha256, Path()], datasets: Datasets, downloads: WorkerDownloads
) -> Response:
    """An uploaded data set in packed form, by the `dataset_checksum` of a job; `Range` resumes a download."""
    packed = await datasets.packed(checksum)
    return await _intact(downloads.file(request, packed, packed.key.rpartition("/")[2]))


async def _intact(answer: Awaitable[Response]) -> Response:
    """Respond 410 for a damaged or missing file, since a worker would retry after 500 in vain."""
    try:
        return await answer
    except ProblemError as error:
        if error.status in (404, 500):
            raise ProblemError(410, error.detail) from error
        raise
