"""Names the files that hold published arrays of images and labels. Imports no numpy."""

from __future__ import annotations

import re
from typing import Final

IDX: Final = re.compile(r".*idx\d[-_.]ubyte(?:\.gz)?")
_BATCH: Final = re.compile(r"(?:.*_)?data(?:_batch_\d+)?|test_batch|batches\.meta|train|test|meta")


def is_array_name(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((".npy", ".npz")) or bool(IDX.fullmatch(lower) or _BATCH.fullmatch(lower))
