"""Records every request that may change something, with its caller and its response status."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import insert, select
from uuid_utils.compat import uuid7

from api.auth.principal import Principal
from api.db.engine import Database
from api.db.models import Audit
from api.schemas.keys import AuditEntry

_log = structlog.get_logger(__name__)
_LONGEST_PATH = 500
_WRITE = insert(Audit)


@dataclass(frozen=True)
class AuditFilters:
    """Criteria for a listing; None matches every entry."""

    key_id: UUID | None = None
    job_id: UUID | None = None
    owner: str | None = None


class AuditLog:
    """Writes entries one at a time and lists them in pages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, principal: Principal, method: str, path: str, status: int, job_id: UUID | None) -> None:
        """Write an entry. A failed write is only logged: the request has been carried out, and its response must go
        out.
        """
        entry = {
            "id": uuid7(),
            "method": method,
            "path": path[:_LONGEST_PATH],
            "status": status,
            "key_id": principal.key_id,
            "owner": principal.owner,
            "role": principal.role,
            "job_id": job_id,
        }
        try:
            async with self._database.single_statements() as session:
                await session.execute(_WRITE, entry)
        except Exception as error:  # the driver raises many types
            _log.warning("audit_not_written", method=method, path=path, status=status, error=type(error).__name__)

    async def list(self, filters: AuditFilters, *, limit: int, cursor: UUID | None) -> list[Audit]:
        """Entries before the cursor, newest first."""
        query = select(Audit).order_by(Audit.id.desc()).limit(limit)
        if cursor is not None:
            query = query.where(Audit.id < cursor)
        for column, value in (
            (Audit.key_id, filters.key_id),
            (Audit.job_id, filters.job_id),
            (Audit.owner, filters.owner),
        ):
            if value is not None:
                query = query.where(column == value)
        async with self._database.single_statements() as session:
            return list(await session.scalars(query))


def entry_out(row: Audit) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in AuditEntry.model_fields})
