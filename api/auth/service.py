"""Creates, finds, lists and revokes keys. A revoked key keeps its row, since the audit log refers to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.auth.hashing import Secret, lookup_of, new_secret, same
from api.auth.identities import Holder
from api.db.engine import Database, lock_content
from api.db.models import Identity, Key
from api.events.log import notify_ended
from api.http.problems import conflict, not_found
from api.jobs.id_prefix import newest
from api.schemas.keys import KeyCreate, KeyCreated, KeyLimits, KeyOut, Role

# Limits the writes of last_used_at: every request uses a key.
_USE_RECORDED = timedelta(minutes=1)
# Of an owner who creates keys by themselves, that are not revoked.
_MOST_OWN = 20
_LISTED = select(Key, Identity.label).outerjoin(Identity, Identity.key_id == Key.id)


class KeyService:
    """Runs each change in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, body: KeyCreate, secret: Secret | None = None) -> KeyCreated:
        """Create a key, with `secret` if given. Only this response contains the key's text."""
        async with self._database.transaction() as session:
            return await _add(session, body, secret or new_secret())

    async def create_own(self, role: Role, owner: str) -> KeyCreated:
        """Create a key for a person of the identity provider. Raises ProblemError 409 past the number of their keys."""
        async with self._database.transaction() as session:
            await lock_content(session, f"keys of {owner}")
            there = select(func.count()).where(Key.owner == owner, Key.revoked_at.is_(None))
            # One stands for the logins.
            if (await session.scalar(there) or 0) > _MOST_OWN:
                raise conflict(f"{owner} has {_MOST_OWN} keys: revoke one first")
            return await _add(session, KeyCreate(role=role, owner=owner), new_secret())

    async def find(self, text: str) -> Holder | None:
        """The key, also if revoked; None if the text is not a key of this service."""
        lookup = lookup_of(text)
        if lookup is None:
            return None
        async with self._database.single_statements() as session:
            found = (await session.execute(Holder.query().where(Key.lookup == lookup))).one_or_none()
            if found is None or not same(found[0].secret_hash, text):
                return None
            holder = Holder.of(found)
            key = holder.key
            if key.revoked_at is None:
                now = datetime.now(key.created_at.tzinfo)
                if key.last_used_at is None or key.last_used_at < now - _USE_RECORDED:
                    await session.execute(
                        update(Key)
                        .where(Key.id == key.id)
                        .values(last_used_at=func.now())
                        .execution_options(synchronize_session=False)
                    )
        return holder

    async def get(self, key_id: UUID) -> KeyOut:
        """Raises ProblemError 404."""
        async with self._database.single_statements() as session:
            found = (await session.execute(_LISTED.where(Key.id == key_id))).one_or_none()
        if found is None:
            raise not_found("key", key_id)
        return key_out(*found)

    async def list(
        self, *, limit: int, cursor: UUID | None, id_prefix: str | None = None, owner: str | None = None
    ) -> list[KeyOut]:
        """Keys before the cursor, newest first, including revoked ones. owner: of this owner alone."""
        ids = newest(Key, limit, cursor, id_prefix).with_only_columns(Key.id)
        if owner is not None:
            ids = ids.where(Key.owner == owner)
        query = _LISTED.where(Key.id.in_(ids.scalar_subquery())).order_by(Key.id.desc())
        async with self._database.single_statements() as session:
            return [key_out(*row) for row in await session.execute(query)]

    async def revoke(self, key_id: UUID) -> None:
        """Revoke the key and end its sessions; of a key that stands for a person's logins, all their keys.

        Idempotent. Raises ProblemError 404.
        """
        async with self._database.transaction() as session:
            found = (await session.execute(_LISTED.where(Key.id == key_id))).one_or_none()
            if found is None:
                raise not_found("key", key_id)
            key, person = found
            which = Key.id == key_id if person is None else Key.owner == key.owner
            revoked = update(Key).where(which, Key.revoked_at.is_(None)).values(revoked_at=func.now())
            for each in await session.scalars(revoked.returning(Key.id)):
                await notify_ended(session, each)

    async def has_admin(self) -> bool:
        """Whether the service has an admin key that is not revoked."""
        query = select(Key.id).where(Key.role == Role.ADMIN, Key.revoked_at.is_(None)).limit(1)
        async with self._database.single_statements() as session:
            return await session.scalar(query) is not None


async def _add(session: AsyncSession, body: KeyCreate, secret: Secret) -> KeyCreated:
    key = Key(
        id=uuid7(),
        role=body.role,
        owner=body.owner,
        lookup=secret.lookup,
        secret_hash=secret.hash,
        **body.limits.model_dump(),
    )
    session.add(key)
    await session.flush()
    await session.refresh(key)
    return KeyCreated(**dict(key_out(key)), key=secret.text)


def limits_of(key: Key) -> KeyLimits:
    """The key's own limits, without defaults."""
    return KeyLimits(**{name: getattr(key, name) for name in KeyLimits.model_fields})


def key_out(key: Key, person: str | None = None) -> KeyOut:
    """The response model of a key, without its secret."""
    fields = {name: getattr(key, name) for name in KeyOut.model_fields if name not in ("limits", "person")}
    return KeyOut(**fields, limits=limits_of(key), person=person)
