"""The runner of the kind of job in census_kind, as a file of worker/runners would have it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darts_core.data.catalogue import BUILT_IN
from darts_core.training.control import Control
from worker.runners.runner import Report


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int,
) -> Iterator[Report]:
    images: int = getattr(BUILT_IN[spec["dataset"]], spec["part"])

    def write(path: Path) -> str:
        path.write_text(f'{{"images": {images}}}')
        return hashlib.sha256(path.read_bytes()).hexdigest()

    yield Report(1, {"images": float(images)}, 0.1, {"census.json": write}, {"result": {"images": images}})
