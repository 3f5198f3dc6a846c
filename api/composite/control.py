"""Applies actions on a composite job to its children, in the same transaction. The caller holds the composite job's
lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.composite.children import load_children, locked_children
from api.datasets.references import hold
from api.db.models import Job
from api.http.problems import conflict
from api.jobs.locking import end_attempt
from api.jobs.state_machine import move
from api.jobs.times import times_changed
from api.kinds import kind_of
from api.schemas.jobs import AttemptStatus, JobPatch, Status


async def cancel_children(session: AsyncSession, tree: Job, only: Collection[UUID] | None = None) -> None:
    """Cancel the active children. only: restricts them to these ids."""
    for child in await locked_children(session, tree):
        if not child.status.ended and (only is None or child.id in only):
            why = f"its {tree.kind} {'was cancelled' if only is None else 'no longer needs it'}"
            await move(session, child, Status.CANCELLED, why)
            await end_attempt(session, child, AttemptStatus.CANCELLED, why)


async def pause_children(session: AsyncSession, tree: Job) -> bool:
    """Pause the children; True if all of them stop at once. Running ones pause after their present epoch."""
    still = True
    for child in await locked_children(session, tree):
        if child.status == Status.QUEUED:
            await move(session, child, Status.PAUSED, f"its {tree.kind} was paused")
        elif child.status == Status.RUNNING:
            await move(session, child, Status.PAUSING, f"its {tree.kind} was paused")
        still = still and child.status != Status.PAUSING
    return still


async def resume_children(session: AsyncSession, tree: Job) -> None:
    """Queue the paused children."""
    for child in await locked_children(session, tree):
        if child.status == Status.PAUSED:
            await _queue(session, child, f"its {tree.kind} was resumed")


async def promote_children(session: AsyncSession, tree: Job, promoted: Mapping[UUID, int | None]) -> None:
    """Queue paused children, to pause again after the given epoch or not at all."""
    for child in await locked_children(session, tree):
        if child.id in promoted and child.status == Status.PAUSED:
            child.pause_after = promoted[child.id]
            await _queue(session, child, f"promoted to epoch {child.pause_after or child.spec['epochs']}")


async def retry_children(session: AsyncSession, tree: Job) -> None:
    """Requeue the children whose failure or cancellation decided the composite job's outcome."""
    locked = await locked_children(session, tree)
    protocol = kind_of(tree).protocol
    assert protocol is not None
    ids = {child.id for child in protocol.worth_retrying(tree.spec, await load_children(session, tree))}
    for child in locked:
        if child.id in ids:
            await _queue(session, child, f"its {tree.kind} was retried")


async def patch_children(session: AsyncSession, tree: Job, patch: JobPatch) -> None:
    """Apply the priority, run-time limit, `preemptible` and times to the active children."""
    for child in await locked_children(session, tree):
        for field in patch.model_fields_set & {
            "priority",
            "max_runtime",
            "preemptible",
            "not_before",
            "window",
            "time_zone",
        }:
            if not child.status.ended:
                setattr(child, field, getattr(patch, field))
        times_changed(child)


async def ended_children(session: AsyncSession, tree: Job) -> list[Job]:
    """All children. Raises ProblemError 409 while one is active, since it may have been retried after the
    parent ended.
    """
    children = await locked_children(session, tree)
    if active := [child for child in children if not child.status.ended]:
        [first, *_] = active
        raise conflict(f"its child {first.kind} {first.id} is {first.status}; cancel it first")
    return children


async def _queue(session: AsyncSession, child: Job, reason: str) -> None:
    await hold(session, child.spec)
    child.error, child.lost_attempts = None, 0
    await move(session, child, Status.QUEUED, reason)
