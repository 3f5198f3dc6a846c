"""Maps every request to the role and ownership that it requires; docs/operations.md describes the table.

Requests outside the table are refused. Viewers read. Users also create resources and change their own. Admins may do
everything except a worker's requests; workers may do nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from api.schemas.jobs import JobKind
from api.schemas.keys import Role

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Reveal nothing about users' work; probes and browsers need them before they have a key.
PUBLIC: Final = frozenset(
    {
        "/",
        "/healthz",
        "/readyz",
        "/version",
        "/openapi.json",
        # Where a browser comes and goes that logs in at the identity provider.
        "/session/login",
        "/session/callback",
        "/session/logout",
    }
)
_PUBLIC_FILES: Final = frozenset({"static", "docs"})
# Collections, besides those of jobs, whose members belong to their creator; api/auth/ownership.py finds the owner.
# A rule of retention names its owner in the query, which api/retention/rules.py checks.
_OWNED: Final = frozenset({"checkpoints", "datasets", "genotypes", "models", "retention", "schedules", "webhooks"})
# From the lowest.
RANKS: Final = (Role.VIEWER, Role.USER, Role.ADMIN)


@dataclass(frozen=True)
class Member:
    """One member of a collection, as named in a path."""

    collection: str
    name: str


@dataclass(frozen=True)
class Rule:
    """The permission that a request requires. role: None if public. owned: restricted to its owner and admins.

    signed_in: restricted to people of the identity provider and admins.
    """

    role: Role | None
    owned: Member | None = None
    signed_in: bool = False

    def allows(self, role: Role) -> bool:
        """Whether a key with this role may make the request, apart from ownership."""
        if self.role is None or role is self.role:
            return True
        return role in RANKS and self.role in RANKS and RANKS.index(role) > RANKS.index(self.role)


def lower(one: Role, other: Role) -> Role:
    """The lower of two roles; a worker's is apart from them."""
    return min(one, other, key=RANKS.index) if one in RANKS and other in RANKS else one


def holds_jobs(collection: str) -> bool:
    """Whether the members of a collection are jobs."""
    return any(kind.collection == collection for kind in JobKind.all())


def rule_for(method: str, path: str) -> Rule:
    """The rule for a request's path or a route's path template."""
    _, collection, *rest = (*path.split("/"), "")
    if method in SAFE_METHODS and (path in PUBLIC or collection in _PUBLIC_FILES):
        return Rule(None)
    if collection == "worker":
        return Rule(Role.WORKER)
    if collection == "audit":
        return Rule(Role.ADMIN)
    if collection == "keys":
        # api/routes/keys.py tells which keys people create.
        member = Member(collection, rest[0]) if rest[0] else None
        return Rule(Role.VIEWER, member, signed_in=method not in SAFE_METHODS and member is None)
    if method in SAFE_METHODS or path == "/session":
        return Rule(Role.VIEWER)
    if collection not in _OWNED and not holds_jobs(collection):
        return Rule(Role.ADMIN)
    return Rule(Role.USER, Member(collection, rest[0]) if rest and rest[0] else None)
