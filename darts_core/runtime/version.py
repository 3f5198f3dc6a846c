"""Reads the installed version, and what tells apart two states of its sources."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

VERSION = version("dartboard")
_SOURCES: Final = Path(__file__).parents[1]


@cache
def sources_digest() -> str:
    """The beginning of the SHA-256 of all that computes: Python and C++ files of darts_core, by path."""
    digest = hashlib.sha256()
    for path in sorted(path for path in _SOURCES.rglob("*") if path.suffix in (".py", ".cpp", ".h")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_SOURCES).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
