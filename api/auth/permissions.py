"""The one table of who may do what; docs/operations.md has it in words. What is not in it is refused.

Viewers read. Users make things and change their own, too. Admins do everything but a worker's work, and workers
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from api.schemas.jobs import JobKind
from api.schemas.keys import Role

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What tells nothing about anybody's work: a probe or a browser has to get there before it has a key.
PUBLIC: Final = frozenset({"/", "/healthz", "/readyz", "/version", "/openapi.json"})
_PUBLIC_FILES: Final = frozenset({"static", "docs"})
JOBS: Final = frozenset(kind.collection for kind in JobKind)
# Collections whose members belong to their creator (api/auth/ownership.py looks the owner up).
OWNED: Final = JOBS | {"checkpoints", "datasets", "genotypes"}
_RANKS: Final = (Role.VIEWER, Role.USER, Role.ADMIN)


@dataclass(frozen=True)
class Member:
    """One member of a collection, as a path names it."""

    collection: str
    name: str


@dataclass(frozen=True)
class Rule:
    """What a request needs. role: None for nothing at all. owned: what only its owner and admins may change."""

    role: Role | None
    owned: Member | None = None

    def allows(self, role: Role) -> bool:
        """Whether a key of this role will do, ownership aside."""
        if self.role is None or role is self.role:
            return True
        return role in _RANKS and self.role in _RANKS and _RANKS.index(role) > _RANKS.index(self.role)


def rule_for(method: str, path: str) -> Rule:
    """The rule for a request, or for a route whose path has parameters in it."""
    _, collection, *rest = (*path.split("/"), "")
    if method in SAFE_METHODS and (path in PUBLIC or collection in _PUBLIC_FILES):
        return Rule(None)
    if collection == "worker":
        return Rule(Role.WORKER)
    if collection in ("keys", "audit"):
        return Rule(Role.ADMIN)
    if method in SAFE_METHODS or path == "/session":
        return Rule(Role.VIEWER)
    if collection not in OWNED:
        return Rule(Role.ADMIN)
    return Rule(Role.USER, Member(collection, rest[0]) if rest and rest[0] else None)
