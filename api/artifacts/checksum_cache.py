"""Checksums of stored files that this process has written or read: they need not be computed from the bytes again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from api.artifacts.store import Stored

_MOST: Final = 1000


class Known:
    """The latest ones, each with a mark of the bytes: an ETag, or what a directory says of a file."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[object, Stored]] = OrderedDict()

    def find(self, key: str, mark: object) -> Stored | None:
        """None for a file that is not known, and for one that has changed since."""
        known, stored = self._files.get(key, (None, None))
        return stored if mark is not None and known == mark else None

    def add(self, stored: Stored, mark: object) -> Stored:
        """Remember it; gives it back."""
        self._files[stored.key] = (mark, stored)
        while len(self._files) > _MOST:
            self._files.popitem(last=False)
        return stored

    def forget(self, key: str) -> None:
        """It is to be removed, or has been found changed."""
        self._files.pop(key, None)
