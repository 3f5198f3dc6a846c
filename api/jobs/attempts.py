"""Applies workers' reports, each in one transaction under the job row's lock, after checking the fencing token."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts, Stored
from api.artifacts.verify import flaw
from api.db.models import Attempt, Checkpoint, Epoch, Job
from api.events.log import append
from api.http.problems import conflict
from api.jobs.attempt_files import AttemptFiles
from api.jobs.early_stopping import finished_progress, last_epoch, stop_reason, stopped
from api.jobs.fencing import Fence
from api.jobs.locking import checkpoints_of, end_attempt, files_of, partials_of
from api.jobs.lost_attempts import lose
from api.jobs.report_validation import check_epoch, check_fits, result_of
from api.jobs.state_machine import move
from api.jobs.waker import Waker
from api.kinds import kind_of
from api.metrics.counters import EPOCH_SECONDS, REPORT_LAG
from api.models.pins import pinned
from api.schemas.jobs import AttemptStatus, Status
from api.schemas.worker import (
    Directive,
    EpochReport,
    Fail,
    Finish,
    LogEntry,
    LogReport,
    PartialReport,
    Release,
    ReportedFile,
)
from api.webhooks.outbox import tell


class AttemptService:
    """Processes reports. A report with an invalid fencing token raises ProblemError 409 and changes nothing."""

    def __init__(self, artifacts: Artifacts, files: AttemptFiles, waker: Waker, fence: Fence) -> None:
        self._artifacts, self._files, self._waker, self._fence = artifacts, files, waker, fence

    async def report_epoch(self, attempt_id: UUID, token: str, report: EpochReport) -> Directive:
        """Store an epoch, its checkpoint's row and its events, exactly once."""
        dropped: list[Checkpoint] = []
        came = time.monotonic()
        is_stored = False
        named = [ReportedFile(name=report.checkpoint, sha256=report.sha256), *report.files]
        stored = await self._files.stored(attempt_id, token, named)
        async with self._fence.passed(attempt_id, token) as (session, job, attempt):
            check_fits(job, report)
            is_new = _is_new(attempt, report.n)
            if is_new and not await self._insert_epoch(session, job, report):
                dropped = await self._replace_damaged(session, job, attempt, report, stored)
            elif is_new:
                checkpoint, *others = [_row(attempt, report, file, metrics=report.metrics) for file in stored]
                session.add_all([checkpoint, *others])
                await session.flush()
                job.metrics, job.lost_attempts = report.metrics, 0
                job.costs_due |= report.genotype is not None
                if report.result is not None:
                    job.result = result_of(job, report.result)
                if report.stopped_early is not None:
                    job.result = stopped(report.epoch, report.stopped_early)
                    await tell(session, job, "job.stopped_early", report.stopped_early)
                if kind_of(job).is_better(job.spec, report.metrics, job.best):
                    job.best = {"epoch": report.epoch, **report.metrics}
                if job.progress is None or job.progress["epoch"] <= report.epoch:
                    job.progress = _after_epoch(job, report)
                await self._append_epoch(session, job, report, checkpoint)
                whole, partials = await files_of(session, job)
                kept = _retained(job, [c.epoch for c in whole])
                dropped = [c for c in whole if c.epoch not in kept]
                dropped += [c for c in partials if c.epoch < report.epoch]
                dropped = await _delete_rows(session, dropped)
                is_stored = True
            directive, kind = _directive(job), job.kind
        if is_stored:
            EPOCH_SECONDS.labels(kind).observe(report.seconds)
            if report.waited is not None:
                REPORT_LAG.observe(report.waited + time.monotonic() - came)
        await self._artifacts.discard([c.key for c in dropped])
        return directive

    async def report_partial(self, attempt_id: UUID, token: str, report: PartialReport) -> Directive:
        """Store the row of a partial checkpoint, which replaces the previous one."""
        dropped: list[Checkpoint] = []
        [stored] = await self._files.stored(
            attempt_id, token, [ReportedFile(name=report.checkpoint, sha256=report.sha256)]
        )
        async with self._fence.passed(attempt_id, token) as (session, job, attempt):
            if _is_new(attempt, report.n):
                check_epoch(job, report.epoch + 1)
                last = await session.scalar(select(func.max(Epoch.epoch)).where(Epoch.job_id == job.id)) or 0
                if report.epoch > last or (report.epoch < last and await self._resumes_later(session, job, report)):
                    raise conflict(
                        f"a checkpoint after epoch {report.epoch} was reported, but epoch {last} is the last stored"
                    )
                dropped = await partials_of(session, job)
                await _delete_rows(session, dropped)
                session.add(_row(attempt, report, stored, step=report.step))
            directive = _directive(job)
        await self._artifacts.discard([c.key for c in dropped])
        return directive

    async def report_logs(self, attempt_id: UUID, token: str, report: LogReport) -> Directive:
        """Append log lines to the event log, exactly once."""
        async with self._fence.passed(attempt_id, token) as (session, job, attempt):
            if _is_new(attempt, report.n):
                for line in report.lines:
                    await append(session, job, "log", line.model_dump(mode="json"))
            return _directive(job)

    async def finish(self, attempt_id: UUID, token: str, report: Finish) -> None:
        """Mark the job as succeeded. Raises ProblemError 409 while an epoch is missing."""
        async with self._fence.passed(attempt_id, token, repeatable=report.n) as (session, job, attempt):
            if attempt.status != AttemptStatus.RUNNING:
                return
            stored = await session.scalar(select(func.count()).where(Epoch.job_id == job.id))
            if stored != last_epoch(job):
                raise conflict(f"{stored} of {last_epoch(job)} epochs are stored: report the missing ones first")
            attempt.last_report = report.n
            # The last heartbeat may still hold the number of planned epochs.
            job.progress = finished_progress(job)
            await end_attempt(session, job, AttemptStatus.SUCCEEDED, None)
            await move(session, job, Status.SUCCEEDED, stop_reason(job))

    async def fail(self, attempt_id: UUID, token: str, report: Fail) -> None:
        """End the attempt: as failed with its job, or as lost, after which another worker may continue the job."""
        async with self._fence.passed(attempt_id, token, repeatable=report.n) as (session, job, attempt):
            if attempt.status != AttemptStatus.RUNNING:
                return
            attempt.last_report = report.n or attempt.last_report
            if report.outcome == "lost":
                await lose(session, job, report.error.message)
            else:
                job.error = report.error.model_dump(mode="json")
                await end_attempt(session, job, AttemptStatus.FAILED, report.error.message)
                await move(session, job, Status.FAILED, f"{report.error.type}: {report.error.message}"[:500])
            requeued = job.status == Status.QUEUED
        if requeued:
            self._waker.nudge()

    async def release(self, attempt_id: UUID, token: str, report: Release) -> None:
        """Return the job to the queue, or pause it. The attempt does not count as lost."""
        async with self._fence.passed(attempt_id, token, repeatable=report.n) as (session, job, attempt):
            if attempt.status != AttemptStatus.RUNNING:
                return
            attempt.last_report = report.n or attempt.last_report
            by = job.preempted_by if report.reason == "pause" else None
            held = job.hold is not None and report.reason == "pause"
            why = "preempted" if by else f"held: {job.hold}" if held else report.reason
            await end_attempt(session, job, AttemptStatus.RELEASED, why)
            if report.reason == "disk_full":
                full = f"the worker's disk is full: {report.detail}"[:500]
                await move(session, job, Status.PAUSED, full)
                await tell(session, job, "job.disk_full", full)
            elif job.status == Status.PAUSING:
                await move(session, job, Status.PAUSED, job.status_reason)
            elif report.reason == "pause" and await _at_its_pause(session, job):
                await move(session, job, Status.PAUSED, f"waits after epoch {job.pause_after} for its study's decision")
            elif by is not None:
                await move(session, job, Status.QUEUED, f"made room for the urgent job {by}; resumes where it stopped")
            elif held:
                await move(session, job, Status.QUEUED, job.status_reason)
            else:
                await move(session, job, Status.QUEUED, f"released by its worker ({report.reason})")
            requeued = job.status == Status.QUEUED
        if requeued:
            self._waker.nudge()

    async def _resumes_later(self, session: AsyncSession, job: Job, report: PartialReport) -> bool:
        """Whether a later epoch has an intact checkpoint, from which the job would resume."""
        later = [c for c in await checkpoints_of(session, job) if c.epoch > report.epoch]
        return len(await self._damaged(later)) < len(later)

    async def _damaged(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        return [c for c in checkpoints if await flaw(self._artifacts, c.stored)]

    async def _replace_damaged(
        self, session: AsyncSession, job: Job, attempt: Attempt, report: EpochReport, files: list[Stored]
    ) -> list[Checkpoint]:
        """Store the files of a repeated epoch, which ran again because its checkpoint and all later ones are damaged.

        Returns the replaced checkpoints, whose rows are deleted. The epoch's first report stands.
        """
        whole, partials = await files_of(session, job)
        damaged = await self._damaged(c for c in whole if c.epoch >= report.epoch)
        intact = [c for c in whole if c not in damaged]
        if any(c.epoch >= report.epoch for c in intact):
            return []
        session.add_all(_row(attempt, report, file, metrics=report.metrics) for file in files)
        kept = _retained(job, [report.epoch, *(c.epoch for c in intact)])
        dropped = [c for c in intact if c.epoch not in kept]
        dropped += [c for c in damaged if c.epoch == report.epoch]
        dropped += [c for c in partials if c.epoch < report.epoch]
        return await _delete_rows(session, dropped)

    @staticmethod
    async def _insert_epoch(session: AsyncSession, job: Job, report: EpochReport) -> bool:
        """Insert the epoch; False if it is stored already. Raises ProblemError 409 if an earlier epoch is missing."""
        last = await session.scalar(select(func.max(Epoch.epoch)).where(Epoch.job_id == job.id)) or 0
        if report.epoch > last + 1:
            raise conflict(f"epoch {report.epoch} was reported after epoch {last}: report the epochs between first")
        row = {
            "job_id": job.id,
            "attempt": job.attempt,
            "reported_strengths": report.strengths,
            **report.model_dump(include={"epoch", "metrics", "seconds", "genotype", "alphas"}),
        }
        done = await session.execute(insert(Epoch).values(row).on_conflict_do_nothing().returning(Epoch.epoch))
        return done.scalar() is not None

    @staticmethod
    async def _append_epoch(session: AsyncSession, job: Job, report: EpochReport, checkpoint: Checkpoint) -> None:
        fields = {"epoch", "metrics", "seconds", "genotype", "alphas", "strengths"}
        await append(session, job, "epoch", {"attempt": job.attempt, **report.model_dump(mode="json", include=fields)})
        for message in report.warnings:
            # Logged here, not by the worker, since an epoch is stored once although several attempts may run it.
            line = LogEntry(time=datetime.now(UTC), level="warning", message=message)
            await append(session, job, "log", line.model_dump(mode="json"))
        if not kind_of(job).leaves_checkpoints:
            return
        await append(
            session,
            job,
            "checkpoint",
            {
                "id": str(checkpoint.id),
                "epoch": checkpoint.epoch,
                "sha256": checkpoint.sha256,
                "size": checkpoint.size,
            },
        )


async def _at_its_pause(session: AsyncSession, job: Job) -> bool:
    if job.pause_after is None:
        return False
    last = await session.scalar(select(func.max(Epoch.epoch)).where(Epoch.job_id == job.id)) or 0
    return last >= job.pause_after


def _directive(job: Job) -> Directive:
    return Directive.at(job.status, makes_room=job.makes_room)


def _retained(job: Job, epochs: list[int]) -> set[int]:
    return kind_of(job).retained(epochs, job.best, job.spec.get("checkpoint_every"))


async def _delete_rows(session: AsyncSession, checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Delete all but pinned ones; returns the deleted ones."""
    kept = await pinned(session, [checkpoint.id for checkpoint in checkpoints])
    dropped = [checkpoint for checkpoint in checkpoints if checkpoint.id not in kept]
    for checkpoint in dropped:
        await session.delete(checkpoint)
    return dropped


def _row(
    attempt: Attempt,
    report: EpochReport | PartialReport,
    stored: Stored,
    *,
    step: int | None = None,
    metrics: dict[str, float] | None = None,
) -> Checkpoint:
    return Checkpoint(
        id=uuid7(),
        job_id=attempt.job_id,
        epoch=report.epoch,
        step=step,
        attempt=attempt.number,
        key=stored.key,
        sha256=stored.sha256,
        size=stored.size,
        metrics=metrics or {},
    )


def _is_new(attempt: Attempt, n: int) -> bool:
    """Whether the report is new; marks it as processed."""
    if n <= attempt.last_report:
        return False
    attempt.last_report = n
    return True


def _after_epoch(job: Job, report: EpochReport) -> dict[str, object]:
    steps = job.progress["steps"] if job.progress else 0
    epochs = last_epoch(job)
    left = (epochs - report.epoch) * report.seconds
    return {"epoch": report.epoch, "epochs": epochs, "step": steps, "steps": steps, "eta_seconds": left}
