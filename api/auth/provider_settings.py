"""Describes the identity provider that the admin names, and which roles its groups have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from api.auth.permissions import RANKS
from api.http.security import is_loopback
from api.schemas.keys import Role


@dataclass(frozen=True)
class ProviderSettings:
    """issuer: as the provider writes it. public_url: of this service, under which the provider sends browsers back.
    groups_claim: a claim's name, with dots between nested ones. roles: the groups of each role. default_role: of
    a person in none of them; None refuses. Raises ValueError.
    """

    issuer: str
    client_id: str
    public_url: str
    client_secret: str | None = field(default=None, repr=False)
    name: str = ""
    scopes: str = "openid profile"
    groups_claim: str = "groups"
    roles: Mapping[Role, Sequence[str]] = field(default_factory=dict)
    default_role: Role | None = None

    def __post_init__(self) -> None:
        _check_url("DARTBOARD_OIDC_ISSUER", self.issuer)
        _check_url("DARTBOARD_PUBLIC_URL", self.public_url)
        if not self.client_id:
            raise ValueError("DARTBOARD_OIDC_CLIENT_ID is missing: the provider knows this service by it")
        if "openid" not in self.scopes.split():
            raise ValueError(f"DARTBOARD_OIDC_SCOPES is {self.scopes!r}: without openid there is no login")
        if Role.WORKER in {*self.roles, self.default_role}:
            raise ValueError(
                "DARTBOARD_OIDC_ROLES, DARTBOARD_OIDC_DEFAULT_ROLE: people are viewer, user or admin; workers have keys"
            )
        if not any(self.roles.values()) and self.default_role is None:
            raise ValueError("nothing lets anyone in: give DARTBOARD_OIDC_ROLES or DARTBOARD_OIDC_DEFAULT_ROLE")

    @property
    def label(self) -> str:
        """The provider's name for people."""
        return self.name or urlsplit(self.issuer).netloc

    @property
    def callback_url(self) -> str:
        return f"{self.public_url.rstrip('/')}/session/callback"

    def groups_of(self, claims: Mapping[str, Any]) -> list[str] | None:
        """The groups in a token; None if it does not have the claim."""
        found: Any = claims.get(self.groups_claim)
        if found is None:
            found = claims
            for part in self.groups_claim.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, str):
            return [found]
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else None

    def role_of(self, groups: Sequence[str]) -> Role | None:
        """The highest role of these groups; None for a person who may not log in."""
        matching = [role for role, wanted in self.roles.items() if not set(wanted).isdisjoint(groups)]
        return max(matching, key=RANKS.index, default=self.default_role)


_SCHEMES: Final = ("http", "https")


def _check_url(variable: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{variable} is {url!r}: give https://host or https://host/path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"{variable} is {url!r}: without https only loopback is safe")
