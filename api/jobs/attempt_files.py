"""The files of an attempt: those that its worker sends, and those that it is given."""

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
from api.schemas.jobs import Status
from api.schemas.worker import DamagedFile, Offer, ReportedFile, StoredFile


class AttemptFiles:
    """Each method wants the attempt's token, and raises ProblemError 409 where it no longer holds."""

    def __init__(self, database: Database, artifacts: Artifacts, fence: Fence) -> None:
        self._artifacts, self._fence = artifacts, fence
        self._resuming = Resuming(database, artifacts)

    async def store_file(
        self, attempt_id: UUID, token: str, name: str, chunks: AsyncIterator[bytes], declared: int | None
    ) -> StoredFile:
        """Take a file before the report that names it. 507 when there is no room: the job then pauses.

        It arrives under a key of its own, and moves to the attempt's under the job row's lock: an upload that ends
        after its attempt changes nothing.
        """
        await self._fence.renew(attempt_id, token)
        arriving = self._artifacts.arriving()
        try:
            stored = await self._artifacts.put(arriving, chunks, declared)
            async with self._fence.passed(attempt_id, token) as (_, job, attempt):
                await self._artifacts.move(arriving, self._artifacts.key(job.id, attempt.number, name, stored.sha256))
        except StoreFullError as error:
            reason = f"{error}; free some space there and resume the job"
            async with self._fence.passed(attempt_id, token) as (session, job, _):
                await end_attempt(session, job, "released", str(error))
                await move(session, job, Status.PAUSED, reason)
            raise StoreFullError(reason) from error
        finally:
            await self._artifacts.discard([arriving])
        return StoredFile(name=name, sha256=stored.sha256, size=stored.size)

    async def given_file(self, attempt_id: UUID, token: str, name: str) -> Stored:
        """A file that the claim named to the attempt. 404 for any other."""
        async with self._fence.passed(attempt_id, token) as (session, job, _):
            whole, partial = await files_of(session, job)
            found = [c for c in (*whole, *partial) if file_of(c) == name]
        if not found:
            raise ProblemError(404, f"this job has no file {name}")
        return found[0].stored

    async def report_damaged(self, attempt_id: UUID, token: str, report: DamagedFile) -> Offer:
        """A file did not arrive as it was stored: the newest checkpoint that is still intact, to go on from instead.

        The same one again where it is intact here, so that it was damaged on the way.
        """
        async with self._fence.passed(attempt_id, token) as (session, job, _):
            whole, partials = await files_of(session, job)
        return Offer(resume=await self._resuming.offer(job, [*whole, *partials], afresh=report.file))

    async def stored(self, attempt_id: UUID, token: str, named: list[ReportedFile]) -> list[Stored]:
        """The uploaded files of which a report speaks: their keys hold the checksum. 409 for one that is not there."""
        job_id, number = await self._fence.renew(attempt_id, token)
        found = []
        for file in named:
            key = self._artifacts.key(job_id, number, file.name, file.sha256)
            size = await self._artifacts.size(key)
            if size is None:
                raise conflict(
                    f"{file.name} has not been uploaded with the checksum {file.sha256}: upload a checkpoint, then "
                    "report it"
                )
            found.append(Stored(key, file.sha256, size))
        return found
