"""Caches the checksums of stored files that this process has written or read."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from api.artifacts.store import Stored

_MOST: Final = 1000


class Known:
    """A bounded cache of checksums, each with a fingerprint of the file: an ETag or the file's metadata."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[object, Stored]] = OrderedDict()

    def find(self, key: str, fingerprint: object) -> Stored | None:
        """The cached file; None if it is unknown or its fingerprint has changed."""
        known, stored = self._files.get(key, (None, None))
        return stored if fingerprint is not None and known == fingerprint else None

    def add(self, stored: Stored, fingerprint: object) -> Stored:
        """Cache the file; returns it."""
        self._files[stored.key] = (fingerprint, stored)
        while len(self._files) > _MOST:
            self._files.popitem(last=False)
        return stored

    def forget(self, key: str) -> None:
        """Drop the file, since it is deleted or has changed."""
        self._files.pop(key, None)
