"""Who the request in work is made for: known from its door on, to whatever does its work."""

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
    """The holder of a key; without an owner, a local user on a service that needs no keys.

    expires_at: of the browser's session that the request came with; None for the key itself.
    """

    role: Role
    owner: str | None = None
    key_id: UUID | None = None
    limits: KeyLimits = field(default_factory=KeyLimits)
    session_id: UUID | None = None
    expires_at: datetime | None = None


LOCAL = Principal(Role.ADMIN)

_current: ContextVar[Principal | None] = ContextVar("principal", default=None)


@contextmanager
def acting(principal: Principal) -> Iterator[None]:
    """Make `principal` the current one inside the block."""
    token = _current.set(principal)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Principal | None:
    """The current principal; None for the service's own work."""
    return _current.get()


def current_owner() -> str | None:
    """Whose the things are that this work makes."""
    principal = _current.get()
    return None if principal is None else principal.owner


def scoped(idempotency_key: str | None) -> str | None:
    """An Idempotency-Key as it is stored: two owners who choose the same one do not meet."""
    owner = current_owner()
    # No header has a line break in it.
    return idempotency_key if idempotency_key is None or owner is None else f"{owner}\n{idempotency_key}"
