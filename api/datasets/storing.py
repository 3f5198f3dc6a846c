"""Where data sets lie in the artifact store."""

from __future__ import annotations

from typing import Final
from uuid import UUID

UPLOADS: Final = "datasets/uploads"


def upload_key(dataset_id: UUID) -> str:
    """An upload as it came, until it has been checked."""
    return f"{UPLOADS}/{dataset_id}"


def packed_key(checksum: str) -> str:
    """A packed set, whatever it is called."""
    return f"datasets/{checksum}.safetensors"
