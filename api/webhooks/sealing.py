"""Encrypts what a webhook must keep secret: its URL, which may hold a token, and the secret of its signatures."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass

from cryptography.fernet import Fernet, InvalidToken


class UnsealableError(Exception):
    """The webhook was sealed with another key."""


@dataclass(frozen=True)
class Sealed:
    """The secrets of a webhook."""

    url: str
    secret: str


class Sealer:
    """Seals with one key, the setting `webhook_key`."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))

    def seal(self, sealed: Sealed) -> bytes:
        return self._fernet.encrypt(json.dumps(asdict(sealed)).encode())

    def unseal(self, data: bytes) -> Sealed:
        """Raises UnsealableError."""
        try:
            return Sealed(**json.loads(self._fernet.decrypt(data)))
        except InvalidToken as error:
            raise UnsealableError(
                "it was created with another DARTBOARD_WEBHOOK_KEY: delete it and create it again"
            ) from error
