"""Reads the results of jobs: epochs, logs and checkpoints."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from api.composite.children import children_of
from api.db.engine import Database
from api.db.models import Attempt, Checkpoint, Epoch, Event, Job
from api.http.problems import ProblemError, conflict, not_found
from api.jobs.locking import checkpoints_of
from api.schemas.jobs import JobKind, Status
from darts_core.drawing.frames import evenly


class Reader:
    """Read-only queries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def job(self, job_id: UUID, kind: JobKind | None = None) -> Job:
        """Raises ProblemError 404 if there is no job of this kind with this id."""
        async with self._database.single_statements() as session:
            job = await session.get(Job, job_id)
        if job is None or (kind is not None and job.kind != kind):
            raise not_found(kind or "job", job_id)
        return job

    async def epochs(self, job_id: UUID, *, after: int, limit: int) -> list[Epoch]:
        """Stored epochs after `after`, in order."""
        query = select(Epoch).where(Epoch.job_id == job_id, Epoch.epoch > after).order_by(Epoch.epoch).limit(limit)
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))

    async def epoch(self, job: Job, epoch: int | None) -> Epoch:
        """One epoch; by default the latest. Raises ProblemError 409 while none is stored, 404 for one that does not
        exist.
        """
        query = select(Epoch).where(Epoch.job_id == job.id).order_by(Epoch.epoch.desc()).limit(1)
        if epoch is not None:
            query = query.where(Epoch.epoch == epoch)
        async with self._database.single_statements() as session:
            found = await session.scalar(query)
        if found is not None:
            return found
        if epoch is None:
            raise conflict(f"this {job.kind} has no finished epoch yet (it is {job.status}): try again later")
        raise not_found("epoch", epoch)

    async def named_epoch(self, job: Job, which: str) -> Epoch:
        """The epoch named `best` (by its metrics so far), `last` or a number. Raises ProblemError like `epoch`."""
        if which == "best" and job.best:
            return await self.epoch(job, int(job.best["epoch"]))
        return await self.epoch(job, int(which) if which.isdigit() else None)

    async def evenly(self, job: Job, latest: int, most: int) -> list[Epoch]:
        """At most `most` evenly spaced epochs up to `latest`, in order, including the first and `latest`."""
        wanted = evenly(range(1, latest + 1), most)
        query = select(Epoch).where(Epoch.job_id == job.id, Epoch.epoch.in_(wanted)).order_by(Epoch.epoch)
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))

    async def attempts(self, job_id: UUID) -> list[Attempt]:
        """The job's attempts, latest first."""
        query = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number.desc())
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))

    async def children(self, tree: Job) -> list[Job]:
        """The children of a composite job, in the order of their creation."""
        async with self._database.single_statements() as session:
            return await children_of(session, tree.id)

    async def logs(self, job_id: UUID, tail: int) -> list[Event]:
        """The last log lines, in order."""
        query = select(Event).where(Event.job_id == job_id, Event.kind == "log").order_by(Event.sequence.desc())
        async with self._database.single_statements() as session:
            return list(await session.scalars(query.limit(tail)))[::-1]

    async def checkpoints(self, job: Job) -> list[Checkpoint]:
        """The stored checkpoints, latest epoch first."""
        async with self._database.single_statements() as session:
            return await checkpoints_of(session, job)

    async def checkpoint(self, job: Job, which: str) -> Checkpoint:
        """The checkpoint `best`, `last` or of an epoch's number. Raises ProblemError 409 while there is none and after
        all were cleared, 404 for one that is not kept.
        """
        stored = [c for c in await self.checkpoints(job) if c.epoch > 0]
        if not stored and job.status == Status.SUCCEEDED:
            raise conflict(f"the checkpoints of this {job.kind} have been cleared; its epochs and metrics remain")
        if not stored:
            raise conflict(f"this {job.kind} has no checkpoint yet (it is {job.status}): try again later")
        if which == "last":
            return stored[0]
        wanted = int(job.best["epoch"]) if which == "best" and job.best else which
        for checkpoint in stored:
            if str(checkpoint.epoch) == str(wanted):
                return checkpoint
        kept = ", ".join(str(c.epoch) for c in stored)
        raise ProblemError(404, f"no checkpoint of epoch {wanted} is kept; kept: {kept}")

    async def file(self, job: Job, name: str) -> Checkpoint:
        """The row of a file that a score or an ensemble produced. Raises ProblemError 409 until it has."""
        stored = [c for c in await self.checkpoints(job) if c.epoch > 0 and c.name == name]
        if not stored:
            raise conflict(f"this {job.kind} has no {name} yet (it is {job.status}): try again later")
        return stored[0]

    async def given(self, job: Job, name: str) -> Checkpoint:
        """The row of an input file of the job. Raises ProblemError 404."""
        found = [c for c in await self.checkpoints(job) if c.epoch == 0 and c.name == name]
        if not found:
            raise ProblemError(404, f"this {job.kind} has no {name}")
        return found[0]

    async def checkpoint_by_id(self, checkpoint_id: UUID) -> Checkpoint:
        """Raises ProblemError 404."""
        async with self._database.single_statements() as session:
            found = await session.get(Checkpoint, checkpoint_id)
        if found is None or found.step is not None:
            raise not_found("checkpoint", checkpoint_id)
        return found
