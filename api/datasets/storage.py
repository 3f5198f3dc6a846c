"""Names the sources of data sets and their keys in the artifact store."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import UUID

UPLOADS: Final = "datasets/uploads"


def upload_key(dataset_id: UUID) -> str:
    """The key of an upload until it is checked."""
    return f"{UPLOADS}/{dataset_id}"


def packed_key(checksum: str) -> str:
    """The key of a packed set; sets with the same content share it."""
    return f"datasets/{checksum}.safetensors"


def folder_below(root: Path, path: str) -> Path | None:
    """The folder at a relative path, with symlinks resolved; None if it is missing or not below `root`."""
    try:
        top = root.resolve()
        folder = (top / path).resolve()
        inside = not Path(path).is_absolute() and folder != top and folder.is_relative_to(top)
        return folder if inside and folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # a loop of symlinks, a null byte
        return None
