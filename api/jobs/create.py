"""Creates the row of a job, the first event of its log and copies of its input files."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts, Stored
from api.db.engine import Database, lock_content
from api.db.models import Checkpoint, Job
from api.events.log import append
from api.schemas.jobs import HELD_FOR_TIME, JobFrame, JobKind, Status

_log = structlog.get_logger(__name__)


def new_job(kind: JobKind, frame: JobFrame, spec: Mapping[str, Any], source: UUID | None = None) -> Job:
    """A queued job owned by the current principal, not stored yet."""
    return Job(
        id=uuid7(),
        kind=kind,
        **{f: getattr(frame, f) for f in JobFrame.model_fields},
        spec=dict(spec),
        source_id=source,
        status=Status.QUEUED,
        hold=HELD_FOR_TIME if frame.not_before or frame.window else None,
        attempt=0,
        lost_attempts=0,
        last_sequence=0,
        costs_due="genotype" in spec,
    )


async def announce_queued(session: AsyncSession, job: Job) -> None:
    """Append the first event; the row must exist."""
    await append(session, job, "status", {"status": Status.QUEUED, "reason": None, "attempt": 0})


async def discard(database: Database, artifacts: Artifacts, job_id: UUID) -> None:
    """Delete the input files of a job unless its row exists: a commit whose response was lost has stored it.

    The writer of the row holds `lock_content` of the job's id. Errors are logged.
    """
    try:
        async with database.transaction() as session:
            await lock_content(session, str(job_id))
            if await session.get(Job, job_id) is None:
                await artifacts.delete_job(job_id)
    except Exception as error:  # the files only waste space, and the caller raises the first error
        _log.warning("files_not_discarded", job=str(job_id), error=f"{type(error).__name__}: {error}"[:300])


async def given_file(artifacts: Artifacts, job: Job, name: str, given: Stored | bytes) -> Checkpoint:
    """Store an input file as a checkpoint of the job's epoch 0; a stored one by a link where the store allows it."""
    if isinstance(given, bytes):
        key = artifacts.key(job.id, 0, name, hashlib.sha256(given).hexdigest())
        given = await artifacts.put(key, _whole(given), len(given))
    else:
        key = artifacts.key(job.id, 0, name, given.sha256)
        await artifacts.link(given.key, key)
    return Checkpoint(
        id=uuid7(), job_id=job.id, epoch=0, attempt=0, key=key, sha256=given.sha256, size=given.size, metrics={}
    )


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
