"""Clears every hour the checkpoints that the rules of retention do not keep, and files that no row names."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.artifacts import Artifacts
from api.artifacts.verify import flaw
from api.background_tasks import Passed
from api.db.engine import Database
from api.db.models import Checkpoint, Job
from api.http.problems import ProblemError, is_unreachable
from api.jobs.locking import lock_job
from api.retention.clearable import Clearable, clearable, size_of
from api.retention.orphans import ABANDONED_SECONDS, clear_orphans
from api.retention.rules import rules_of
from api.schemas.retention import Cleared

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS: Final = 3600.0


class RetentionSweeper:
    """Runs in every API process; an advisory lock lets one sweep run at a time. Without a rule it deletes nothing."""

    def __init__(self, database: Database, artifacts: Artifacts, orphans_older_than: float = ABANDONED_SECONDS) -> None:
        """orphans_older_than: in seconds."""
        self._database, self._artifacts, self._older_than = database, artifacts, orphans_older_than

    async def run(self, passed: Passed) -> None:
        """Sweep now and then every hour, until cancelled."""
        while True:
            await self.sweep()
            passed()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def sweep(self) -> Cleared | None:
        """Sweep once; None while another process does. Raises ProblemError if the store is unavailable."""
        cleared: list[Clearable] = []
        orphans: dict[str, int] = {}
        async with self._database.transaction() as turn:
            mine = func.pg_try_advisory_xact_lock(func.hashtextextended("retention", 0))
            if not await turn.scalar(select(mine)):
                return None
            if rules := await rules_of(turn):
                for job_id in dict.fromkeys(each.job_id for each in await clearable(turn, rules)):
                    cleared += await self._clear_or_log(job_id)
                orphans = await clear_orphans(self._database, self._artifacts, self._older_than)
        result = Cleared(
            checkpoints=len(cleared),
            bytes=size_of(cleared),
            orphans=len(orphans),
            orphan_bytes=sum(orphans.values()),
        )
        if result != Cleared():
            _log.info("retention_swept", **result.model_dump())
        return result

    async def _clear_or_log(self, job_id: UUID) -> list[Clearable]:
        try:
            return await self._clear(job_id)
        except Exception as error:  # one job's failure must not affect the others
            if is_unreachable(error):
                raise
            _log.error("checkpoints_not_cleared", job=str(job_id), exc_info=error)
            return []

    async def _clear(self, job_id: UUID) -> list[Clearable]:
        """Delete the rows of one job's checkpoints, then their files.

        Where no checkpoint that would stay is intact, all stay: the job goes on from an older one.
        """
        async with self._database.transaction() as session:
            found = await clearable(session, await rules_of(session), job_id)
            kept = await _others(session, job_id, found)
        if kept and not await self._any_intact(kept):
            _log.warning("checkpoints_not_cleared", job=str(job_id), reason="none that would stay is intact")
            return []
        async with self._database.transaction() as session:
            await _lock(session, job_id)
            now = await clearable(session, await rules_of(session), job_id)
            if now != found:  # the next sweep examines the checkpoints that stay
                return []
            await session.execute(delete(Checkpoint).where(Checkpoint.id.in_([each.id for each in now])))
        await self._artifacts.discard([each.key for each in now])
        return now

    async def _any_intact(self, checkpoints: Collection[Checkpoint]) -> bool:
        for checkpoint in checkpoints:
            try:
                if await flaw(self._artifacts, checkpoint.stored) is None:
                    return True
            except ProblemError as error:
                _log.warning("checkpoint_not_read", key=checkpoint.key, error=error.detail)
        return False


async def _others(session: AsyncSession, job_id: UUID, cleared: Collection[Clearable]) -> list[Checkpoint]:
    """The job's checkpoints of whole epochs besides these, latest first."""
    whole = (Checkpoint.job_id == job_id, Checkpoint.epoch > 0, Checkpoint.step.is_(None))
    others = select(Checkpoint).where(*whole, Checkpoint.id.not_in([each.id for each in cleared]))
    return list(await session.scalars(others.order_by(Checkpoint.epoch.desc())))


async def _lock(session: AsyncSession, job_id: UUID) -> None:
    """Lock the job, after its composite parent, so that neither is requeued meanwhile."""
    parent_id = await session.scalar(select(Job.parent_id).where(Job.id == job_id))
    for each in (parent_id, job_id):
        if each is not None:
            await lock_job(session, each)
