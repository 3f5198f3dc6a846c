"""Keeps browser sessions: a cookie stands for a key, since EventSource cannot send headers, or for a login."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func
from uuid_utils.compat import uuid7

from api.auth.hashing import hash_of
from api.auth.identities import Holder
from api.db.engine import Database
from api.db.models import BrowserSession, Key
from api.events.log import notify_ended

COOKIE: Final = "dartboard_session"


@dataclass(frozen=True)
class NewSession:
    """A new session. token: the cookie's value; only its hash is stored."""

    token: str = field(repr=False)
    expires_at: datetime


class SessionService:
    """Runs each method in one transaction."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database, self._lifetime = database, timedelta(seconds=seconds)

    async def open(self, key_id: UUID) -> NewSession:
        """Open a session for this key."""
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

    async def find(self, token: str) -> tuple[BrowserSession, Holder] | None:
        """The cookie's session and its key; None if the session has ended or the key is revoked."""
        query = (
            Holder.query(BrowserSession)
            .join(BrowserSession, BrowserSession.key_id == Key.id)
            .where(BrowserSession.token_hash == hash_of(token), BrowserSession.expires_at > func.now())
            .where(Key.revoked_at.is_(None))
        )
        async with self._database.single_statements() as session:
            found = (await session.execute(query)).one_or_none()
        return None if found is None else (found[-1], Holder.of(found))

    async def close(self, session_id: UUID) -> None:
        """End the session and its streams."""
        async with self._database.transaction() as session:
            await session.execute(delete(BrowserSession).where(BrowserSession.id == session_id))
            await notify_ended(session, session_id)
