"""Secrets in settings: one that is empty or short is a variable that was not set, and keeps no one out."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

SHORTEST: Final = 16


def weakness(secret: str) -> str | None:
    """The reason why a secret cannot be relied on, and the way out; None where it can."""
    if len(secret) >= SHORTEST:
        return None
    found = "is empty" if not secret else f"has {len(secret)} characters"
    return f"{found}: give at least {SHORTEST}, made by `openssl rand -hex 24` for example, or leave the variable unset"


def _strong(secret: SecretStr) -> SecretStr:
    if problem := weakness(secret.get_secret_value()):
        raise ValueError(problem)
    return secret


def _with_password(url: SecretStr) -> SecretStr:
    # `user:@host`, as a template makes it of an unset variable. A server that asks for none has no colon there.
    if urlsplit(url.get_secret_value()).password == "":
        raise ValueError(
            "the password in this URL is empty: set it, or leave the colon out where the server needs none"
        )
    return url


StrongSecret = Annotated[SecretStr, AfterValidator(_strong)]
SecretUrl = Annotated[SecretStr, AfterValidator(_with_password)]
