"""Browser sessions: a key exchanged for a cookie, since EventSource cannot send headers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from uuid_utils.compat import uuid7

from api.auth.hashing import hash_of
from api.db.engine import Database
from api.db.models import BrowserSession, Key
from api.events.log import notify_ended

COOKIE: Final = "dartboard_session"


@dataclass(frozen=True)
class NewSession:
    """token: the cookie's value, stored nowhere."""

    token: str = field(repr=False)
    expires_at: datetime


class SessionService:
    """Each method is one transaction."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database, self._lifetime = database, timedelta(seconds=seconds)

    async def open(self, key_id: UUID) -> NewSession:
        """A session of this key."""
        token = secrets.token_urlsafe(32)
        row = BrowserSession(
            id=uuid7(), key_id=key_id, token_hash=hash_of(token), expires_at=func.now() + self._lifetime
        )
        async with self._database.transaction() as session:
            await session.execute(delete(BrowserSession).where(BrowserSession.expires_at < func.now()))
            session.add(row)
            await session.flush()
            await session.refresh(row)
        return NewSession(token, row.expires_at)

    async def find(self, token: str) -> tuple[BrowserSession, Key] | None:
        """The session of a cookie with its key; None when it has ended or its key was revoked."""
        query = (
            select(BrowserSession, Key)
            .join(Key, Key.id == BrowserSession.key_id)
            .where(BrowserSession.token_hash == hash_of(token), BrowserSession.expires_at > func.now())
            .where(Key.revoked_at.is_(None))
        )
        async with self._database.single_statements() as session:
            return (await session.execute(query)).one_or_none()

    async def close(self, session_id: UUID) -> None:
        """End it."""
        async with self._database.transaction() as session:
            await session.execute(delete(BrowserSession).where(BrowserSession.id == session_id))
            await notify_ended(session, session_id)
