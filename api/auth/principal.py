"""Holds the principal of the current request in a context variable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from api.schemas.keys import KeyLimits, Role


@dataclass(frozen=True)
class Principal:
    """The holder of a key; without an owner, a local user of a service that requires no keys.

    expires_at: when the request's browser session ends; None for a request with a key. person: the name of one who
    logged in at the identity provider.
    """

    role: Role
    owner: str | None = None
    key_id: UUID | None = None
    limits: KeyLimits = field(default_factory=KeyLimits)
    session_id: UUID | None = None
    expires_at: datetime | None = None
    person: str | None = None


LOCAL = Principal(Role.ADMIN)

_current: ContextVar[Principal | None] = ContextVar("principal", default=None)


@contextmanager
def acting(principal: Principal) -> Iterator[None]:
    token = _current.set(principal)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Principal | None:
    """The current principal; None for background tasks."""
    return _current.get()


def current_owner() -> str | None:
    """The owner of resources created in this context."""
    principal = _current.get()
    return None if principal is None else principal.owner


def scoped(idempotency_key: str | None) -> str | None:
    """An Idempotency-Key as stored, prefixed with the owner, so that two owners' keys cannot collide."""
    owner = current_owner()
    # A header value cannot contain a line break.
    return idempotency_key if idempotency_key is None or owner is None else f"{owner}\n{idempotency_key}"
