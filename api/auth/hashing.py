"""Creates, parses and hashes API keys.

A key holds 256 random bits, so a plain SHA-256 cannot be reversed; the slow hashes that passwords need would only slow
down every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

# A prefix for secret scanners, the id that finds the row, and the secret.
_FORM = re.compile(r"dartboard_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Secret:
    """A new key. text: shown to the user once. lookup and hash: stored."""

    text: str
    lookup: str
    hash: str


def new_secret() -> Secret:
    lookup = secrets.token_hex(8)
    text = f"dartboard_{lookup}_{secrets.token_urlsafe(32)}"
    return Secret(text, lookup, hash_of(text))


def secret_of(text: str) -> Secret | None:
    """Parse an existing key; None if the text is not a key."""
    lookup = lookup_of(text)
    return None if lookup is None else Secret(text, lookup, hash_of(text))


def lookup_of(text: str) -> str | None:
    """The id that finds the key's row; None if the text is not a key."""
    found = _FORM.fullmatch(text)
    return None if found is None else found.group(1)


def hash_of(text: str) -> str:
    """The SHA-256 of a key, as hex. The database stores the hash, not the key."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(stored_hash: str, text: str) -> bool:
    """Whether the text is the key with this hash, compared in constant time."""
    return hmac.compare_digest(stored_hash, hash_of(text))
