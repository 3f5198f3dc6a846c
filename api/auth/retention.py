"""Deletes audit entries past their retention."""

from __future__ import annotations

import asyncio
import time
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select

from api.background_tasks import Passed
from api.db.engine import Database
from api.db.models import Audit

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS: Final = 3600.0
_DAY: Final = 86_400.0
# One transaction's share, so that clearing years of entries does not block the service.
_BATCH: Final = 1000


class AuditRetention:
    """Deletes entries older than `days`; 0 keeps all. Safe to run in every API process."""

    def __init__(self, database: Database, days: int) -> None:
        self._database, self._days = database, days

    async def run(self, passed: Passed) -> None:
        """Sweep now and then every hour, until cancelled."""
        while True:
            if deleted := await self.sweep():
                _log.info("audit_cleared", entries=deleted, older_than_days=self._days)
            passed()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def sweep(self) -> int:
        """Delete all expired entries; returns their number."""
        deleted, more = 0, bool(self._days)
        # The first 48 bits of a UUIDv7 id are its milliseconds, so the primary key finds old entries.
        oldest = UUID(int=max(0, int((time.time() - self._days * _DAY) * 1000)) << 80)
        while more:
            batch = select(Audit.id).where(Audit.id < oldest).order_by(Audit.id).limit(_BATCH)
            gone = delete(Audit).where(Audit.id.in_(batch.scalar_subquery())).returning(Audit.id).cte("gone")
            async with self._database.transaction() as session:
                count = await session.scalar(select(func.count()).select_from(gone)) or 0
            deleted, more = deleted + count, count == _BATCH
        return deleted
