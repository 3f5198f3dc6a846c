"""The type of the fixture that checks an uploaded archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Check(Protocol):
    """Checks an archive, or the tar of these files; the packed file is tmp_path/packed."""

    def __call__(
        self, upload: bytes | Mapping[str, bytes], size: int | None = None, kind: str | None = None, **limits: int
    ) -> dict[str, Any]: ...
