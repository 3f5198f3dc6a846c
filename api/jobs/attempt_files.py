"""Stores the files that an attempt uploads and serves its input files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from api.artifacts import Artifacts, Stored, StoreFullError
from api.db.engine import Database
from api.http.problems import ProblemError, conflict
from api.jobs.fencing import Fence
from api.jobs.locking import end_attempt, files_of
from api.jobs.resume_checkpoint import Resuming, file_of
from api.jobs.state_machine import move
from api.retention.advice import what_frees_most
from api.schemas.jobs import AttemptStatus, Status
from api.schemas.worker import DamagedFile, Offer, ReportedFile, StoredFile
from api.webhooks.outbox import tell


class AttemptFiles:
    """Each method requires the attempt's token and raises ProblemError 409 once the token is invalid."""

    def __init__(self, database: Database, artifacts: Artifacts, fence: Fence) -> None:
        self._database, self._artifacts, self._fence = database, artifacts, fence
        self._resuming = Resuming(database, artifacts)

    async def store_file(
        self, attempt_id: UUID, token: str, name: str, chunks: AsyncIterator[bytes], declared: int | None
    ) -> StoredFile:
        """Store a file before the report that names it. Raises ProblemError 507 without space; the job then pauses.

        The file is written under a temporary key and moved to the attempt's key under the job row's lock, so an upload
        that ends after its attempt changes nothing.
        """
        await self._fence.renew(attempt_id, token)
        arriving = self._artifacts.arriving()
        try:
            stored = await self._artifacts.put(arriving, chunks, declared)
            async with self._fence.passed(attempt_id, token) as (_, job, attempt):
                await self._artifacts.move(arriving, self._artifacts.key(job.id, attempt.number, name, stored.sha256))
        except StoreFullError as error:
            reason = f"{error}; {await what_frees_most(self._database)}; then resume the job"
            async with self._fence.passed(attempt_id, token) as (session, job, _):
                await end_attempt(session, job, AttemptStatus.RELEASED, str(error))
                await move(session, job, Status.PAUSED, reason)
                await tell(session, job, "job.disk_full", reason)
            raise ProblemError(507, reason) from error
        finally:
            await self._artifacts.discard([arriving])
        return StoredFile(name=name, sha256=stored.sha256, size=stored.size)

    async def given_file(self, attempt_id: UUID, token: str, name: str) -> Stored:
        """A file that the claim gave to the attempt. Raises ProblemError 404 for any other."""
        async with self._fence.passed(attempt_id, token) as (session, job, _):
            whole, partial = await files_of(session, job)
            found = [c for c in (*whole, *partial) if file_of(c) == name]
        if not found:
            raise ProblemError(404, f"this job has no file {name}")
        return found[0].stored

    async def report_damaged(self, attempt_id: UUID, token: str, report: DamagedFile) -> Offer:
        """Offer the newest intact checkpoint after a worker has received a damaged file.

        The offer is the same file again if the store's copy is intact, since the transfer damaged it.
        """
        async with self._fence.passed(attempt_id, token) as (session, job, _):
            whole, partials = await files_of(session, job)
        return Offer(resume=await self._resuming.offer(job, [*whole, *partials], afresh=report.file))

    async def stored(self, attempt_id: UUID, token: str, named: list[ReportedFile]) -> list[Stored]:
        """The uploaded files that a report names; their keys contain the checksum. Raises ProblemError 409 for a
        missing one.
        """
        job_id, number = await self._fence.renew(attempt_id, token)
        found = []
        for file in named:
            key = self._artifacts.key(job_id, number, file.name, file.sha256)
            size = await self._artifacts.size(key)
            if size is None:
                raise conflict(
                    f"{file.name} has not been uploaded with the checksum {file.sha256}: upload a checkpoint "
                    "before reporting it"
                )
            found.append(Stored(key, file.sha256, size))
        return found
