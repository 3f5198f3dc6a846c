"""Keeps one login at the identity provider together, from the browser's departure to its return."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote, unquote

COOKIE: Final = "dartboard_login"
SECONDS: Final = 600
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_.~%-]{0,1500})")
# A place of the page, behind the slash of its address: it can name no other site.
_PLACE: Final = re.compile(r"#/[!-~]{0,400}")
_HOME: Final = "#/"


@dataclass(frozen=True)
class LoginAttempt:
    """A login. place: where the page goes afterwards.

    State, nonce and code verifier derive from a secret that only the browser keeps, in a cookie: any process of the
    service can end the login, and none remembers it.
    """

    secret: str = field(repr=False)
    place: str = _HOME

    @classmethod
    def new(cls, place: str) -> Self:
        return cls(secrets.token_urlsafe(32), place if _PLACE.fullmatch(place) else _HOME)

    @classmethod
    def of_cookie(cls, text: str) -> Self | None:
        """The attempt that a cookie's value holds, or None."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        place = unquote(found[2])
        return cls(found[1], place if _PLACE.fullmatch(place) else _HOME)

    @property
    def cookie(self) -> str:
        return f"{self.secret}.{quote(self.place, safe='')}"

    @property
    def state(self) -> str:
        return self._derived("state")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """The code verifier of PKCE (RFC 7636)."""
        return self._derived("verifier")

    def _derived(self, purpose: str) -> str:
        digest = hmac.digest(self.secret.encode(), purpose.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
