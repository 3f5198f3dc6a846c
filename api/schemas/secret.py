"""Validates secrets in settings: an empty or short one usually comes from an unset variable, and protects nothing."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

SHORTEST: Final = 16


def weakness(secret: str) -> str | None:
    """Why a secret is too weak, with the remedy; None if it is strong enough."""
    if len(secret) >= SHORTEST:
        return None
    found = "is empty" if not secret else f"has {len(secret)} characters"
    return f"{found}: use at least {SHORTEST}, for example from `openssl rand -hex 24`, or leave the variable unset"


def _strong(secret: SecretStr) -> SecretStr:
    if problem := weakness(secret.get_secret_value()):
        raise ValueError(problem)
    return secret


def _with_password(url: SecretStr) -> SecretStr:
    # `user:@host` results from a template with an unset variable. For a server without a password, the URL has no
    # colon.
    if urlsplit(url.get_secret_value()).password == "":
        raise ValueError("the password in this URL is empty: set it, or remove the colon if the server needs none")
    return url


StrongSecret = Annotated[SecretStr, AfterValidator(_strong)]
SecretUrl = Annotated[SecretStr, AfterValidator(_with_password)]
