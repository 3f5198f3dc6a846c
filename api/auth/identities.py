"""Gives each person of the identity provider an owner, and bounds the owner's keys by the latest login."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased
from uuid_utils.compat import uuid7

from api.auth.hashing import new_secret
from api.auth.permissions import lower
from api.db.engine import Database, lock_content
from api.db.models import Identity, Key
from api.http.problems import conflict
from api.schemas.keys import Role

_LOGIN = aliased(Key)
_LONGEST_NAME: Final = 40


@dataclass(frozen=True)
class Person:
    """A person as the provider knows them. subject: their lasting id there. login: their name at login, if told."""

    issuer: str
    subject: str
    login: str
    label: str
    role: Role


@dataclass(frozen=True)
class Holder:
    """A key as it counts now: other keys of a person who logs in at the provider have at most the login's role."""

    key: Key
    identity: Identity | None
    login_role: Role | None

    @classmethod
    def query(cls, *more: Any) -> Select[Any]:
        """Selects keys, what `of` needs of each, and `more`."""
        return (
            select(Key, Identity, _LOGIN.role, *more)
            .outerjoin(Identity, Identity.owner == Key.owner)
            .outerjoin(_LOGIN, _LOGIN.id == Identity.key_id)
        )

    @classmethod
    def of(cls, row: Any) -> Self:
        return cls(row[0], row[1], row[2])

    @property
    def role(self) -> Role:
        return self.key.role if self.login_role is None else lower(self.key.role, self.login_role)

    @property
    def person(self) -> str | None:
        """The name of the person whose logins the key stands for; None for other keys."""
        return self.identity.label if self.identity is not None and self.identity.key_id == self.key.id else None

    def rests(self, days: float) -> bool:
        """Whether the key waits for its owner's next login. A worker's does not."""
        if self.identity is None or self.key.role is Role.WORKER:
            return False
        seen = self.identity.logged_in_at
        return seen < datetime.now(seen.tzinfo) - timedelta(days=days)


class Identities:
    """Keeps the people who have logged in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def login(self, person: Person) -> UUID:
        """The key that stands for this person's sessions, with the role of this login.

        Raises ProblemError 409 if the owner's name of a new person is another one's.
        """
        async with self._database.transaction() as session:
            await lock_content(session, f"{person.issuer}\n{person.subject}")
            known = select(Identity).where(Identity.issuer == person.issuer, Identity.subject == person.subject)
            identity = await session.scalar(known)
            owner = owner_of(person) if identity is None else identity.owner
            key = None if identity is None else await session.get(Key, identity.key_id)
            if identity is None and await session.scalar(select(Key.id).where(Key.owner == owner).limit(1)):
                raise conflict(
                    f"the owner {owner} has keys of an admin's: only with another owner can {person.label} log in"
                )
            if key is None or key.revoked_at is not None:
                secret = new_secret()  # of which only the hash remains: sessions alone use the key
                key = Key(id=uuid7(), owner=owner, lookup=secret.lookup, secret_hash=secret.hash, role=person.role)
                session.add(key)
                await session.flush()
            key.role = person.role
            if identity is None:
                identity = Identity(owner=owner, issuer=person.issuer, subject=person.subject)
                session.add(identity)
            identity.key_id, identity.label, identity.logged_in_at = key.id, person.label, func.now()
            return key.id


def owner_of(person: Person) -> str:
    """A new person's owner name: readable, and unique by issuer and subject. It stays when the person is renamed."""
    name = re.sub(r"[^a-z0-9]+", "-", person.login.partition("@")[0].lower()).strip("-")[:_LONGEST_NAME]
    digest = hashlib.sha256(f"{person.issuer}\n{person.subject}".encode()).hexdigest()[:10]
    return f"{name or 'person'}-{digest}"
