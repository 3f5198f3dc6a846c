"""Finds the newest intact checkpoint from which a job can resume."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from api.artifacts import Artifacts
from api.artifacts.verify import flaw
from api.db.engine import Database
from api.db.models import Checkpoint, Job
from api.events.log import append
from api.jobs.locking import lock_job
from api.kinds import kind_of
from api.schemas.worker import LogEntry, Resume


class Resuming:
    """Offers checkpoints to attempts. A damaged or missing file costs epochs, but does not fail the job."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database, self._artifacts = database, artifacts

    async def offer(self, job: Job, stored: Sequence[Checkpoint], *, afresh: str | None = None) -> Resume | None:
        """The newest intact checkpoint; None if the job must start over. The job's log names the files passed over.

        stored: the job's checkpoints. afresh: a file that a worker could not read, whose bytes are read again. Raises
        ProblemError if the store is unavailable.
        """
        passed_over: list[str] = []
        found: Resume | None = None
        for checkpoint in _newest_first(stored, resumes=kind_of(job).resumes):
            offer = resume_of(checkpoint)
            why = await flaw(self._artifacts, checkpoint.stored, afresh=offer.file == afresh)
            if why is None:
                found = offer
                break
            passed_over.append(f"the stored checkpoint of {_place(offer)} is damaged: it {why}")
        if passed_over:
            await self._log_damage(job, passed_over, found)
        return found

    async def _log_damage(self, job: Job, passed_over: Sequence[str], found: Resume | None) -> None:
        resumes = f"resumes from {_place(found)}" if found else "starts over"
        async with self._database.transaction() as session:
            locked = await lock_job(session, job.id)
            if locked is None:
                return
            for damage in passed_over:
                line = LogEntry(time=datetime.now(UTC), level="warning", message=f"{damage}; the job {resumes}")
                await append(session, locked, "log", line.model_dump(mode="json"))


def resume_of(checkpoint: Checkpoint) -> Resume:
    """The offer of a checkpoint to a worker."""
    return Resume(
        epoch=checkpoint.epoch,
        step=checkpoint.step or 0,
        file=file_of(checkpoint),
        sha256=checkpoint.sha256,
        size=checkpoint.size,
    )


def file_of(checkpoint: Checkpoint) -> str:
    """The name under which a worker requests a stored file."""
    return f"{checkpoint.id}.pt"


def _newest_first(stored: Sequence[Checkpoint], *, resumes: bool) -> list[Checkpoint]:
    """By epoch, and by step within an epoch. Empty for a job with inputs whose kind starts over."""
    own = [c for c in stored if c.epoch > 0 or c.step is not None]
    if len(own) < len(stored) and not resumes:
        return []
    return sorted(own, key=lambda c: (c.epoch, c.step or 0), reverse=True)


def _place(resume: Resume) -> str:
    return f"epoch {resume.epoch}" + (f" and {resume.step} steps" if resume.step else "")
