"""Where data sets come from and where they lie in the artifact store."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import UUID

UPLOADS: Final = "datasets/uploads"


def upload_key(dataset_id: UUID) -> str:
    """An upload as it came, until it has been checked."""
    return f"{UPLOADS}/{dataset_id}"


def packed_key(checksum: str) -> str:
    """A packed set, whatever it is called."""
    return f"datasets/{checksum}.safetensors"


def folder_below(root: Path, path: str) -> Path | None:
    """The folder of a relative path, links followed; None when there is none, or it is not below the root."""
    try:
        top = root.resolve()
        folder = (top / path).resolve()
        inside = not Path(path).is_absolute() and folder != top and folder.is_relative_to(top)
        return folder if inside and folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null byte
        return None
