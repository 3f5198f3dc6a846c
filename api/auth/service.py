"""Creates, finds, lists and revokes keys. A revoked key keeps its row, since the audit log refers to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from uuid_utils.compat import uuid7

from api.auth.hashing import Secret, lookup_of, new_secret, same
from api.db.engine import Database
from api.db.models import Key
from api.events.log import notify_ended
from api.http.problems import not_found
from api.jobs.id_prefix import newest
from api.schemas.keys import KeyCreate, KeyCreated, KeyLimits, KeyOut, Role

# Limits the writes of last_used_at: every request uses a key.
_USE_RECORDED = timedelta(minutes=1)


class KeyService:
    """Runs each change in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, body: KeyCreate, secret: Secret | None = None) -> KeyCreated:
        """Create a key, with `secret` if given. Only this response contains the key's text."""
        secret = secret or new_secret()
        key = Key(
            id=uuid7(),
            role=body.role,
            owner=body.owner,
            lookup=secret.lookup,
            secret_hash=secret.hash,
            **body.limits.model_dump(),
        )
        async with self._database.transaction() as session:
            session.add(key)
            await session.flush()
            await session.refresh(key)
        return KeyCreated(**dict(key_out(key)), key=secret.text)

    async def find(self, text: str) -> Key | None:
        """The key's row, also if revoked; None if the text is not a key of this service."""
        lookup = lookup_of(text)
        if lookup is None:
            return None
        async with self._database.single_statements() as session:
            key = await session.scalar(select(Key).where(Key.lookup == lookup))
            if key is None or not same(key.secret_hash, text):
                return None
            if key.revoked_at is None:
                now = datetime.now(key.created_at.tzinfo)
                if key.last_used_at is None or key.last_used_at < now - _USE_RECORDED:
                    await session.execute(
                        update(Key)
                        .where(Key.id == key.id)
                        .values(last_used_at=func.now())
                        .execution_options(synchronize_session=False)
                    )
        return key

    async def get(self, key_id: UUID) -> Key:
        """Raises ProblemError 404."""
        async with self._database.single_statements() as session:
            key = await session.get(Key, key_id)
        if key is None:
            raise not_found("key", key_id)
        return key

    async def list(self, *, limit: int, cursor: UUID | None, id_prefix: str | None = None) -> list[Key]:
        """Keys before the cursor, newest first, including revoked ones."""
        async with self._database.single_statements() as session:
            return list(await session.scalars(newest(Key, limit, cursor, id_prefix)))

    async def revoke(self, key_id: UUID) -> None:
        """Revoke the key and end its sessions. Idempotent. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            key = await session.get(Key, key_id, with_for_update=True)
            if key is None:
                raise not_found("key", key_id)
            if key.revoked_at is None:
                key.revoked_at = func.now()
                await notify_ended(session, key_id)

    async def has_admin(self) -> bool:
        """Whether the service has an admin key that is not revoked."""
        query = select(Key.id).where(Key.role == Role.ADMIN, Key.revoked_at.is_(None)).limit(1)
        async with self._database.single_statements() as session:
            return await session.scalar(query) is not None


def limits_of(key: Key) -> KeyLimits:
    """The key's own limits, without defaults."""
    return KeyLimits(**{name: getattr(key, name) for name in KeyLimits.model_fields})


def key_out(key: Key) -> KeyOut:
    """The response model of a key, without its secret."""
    fields = {name: getattr(key, name) for name in KeyOut.model_fields if name != "limits"}
    return KeyOut(**fields, limits=limits_of(key))
