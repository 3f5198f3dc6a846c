"""What a key looks like, and what is stored of it.

A key is random through and through (256 bits), so that a plain SHA-256 of it cannot be turned back: the slow hashes
that passwords need would only slow down every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

# A prefix that secret scanners can look for, what the row is found by, and the secret.
_FORM = re.compile(r"dartboard_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Secret:
    """A new key. text: to be shown once. lookup, hash: to be stored."""

    text: str
    lookup: str
    hash: str


def new_secret() -> Secret:
    """A new random key."""
    lookup = secrets.token_hex(8)
    text = f"dartboard_{lookup}_{secrets.token_urlsafe(32)}"
    return Secret(text, lookup, hash_of(text))


def secret_of(text: str) -> Secret | None:
    """The secret of a key that was made elsewhere; None for what cannot be one."""
    lookup = lookup_of(text)
    return None if lookup is None else Secret(text, lookup, hash_of(text))


def lookup_of(text: str) -> str | None:
    """What the key's row is found by; None for what cannot be a key."""
    found = _FORM.fullmatch(text)
    return None if found is None else found.group(1)


def hash_of(text: str) -> str:
    """What is stored of a key: enough to recognise it, not to use it."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(stored_hash: str, text: str) -> bool:
    """Whether the text is the key of this hash, in a time that tells nothing about it."""
    return hmac.compare_digest(stored_hash, hash_of(text))
