"""What a runner takes and yields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from darts_core.training.control import Control
from worker.saver import Write


@dataclass(frozen=True)
class Report:
    """A finished epoch. files: what is stored of it, by name, the main file first. fields: of the API's EpochReport
    that only some kinds have. ends: whether the job is done before its last epoch.
    """

    epoch: int
    metrics: dict[str, float]
    seconds: float
    files: Mapping[str, Write]
    fields: Mapping[str, Any] = field(default_factory=dict)
    ends: bool = False


class Runner(Protocol):
    """Runs a job from its start or from a checkpoint's file, an epoch at a time.

    inputs: the files that it was given to work on, by name.
    """

    def __call__(
        self,
        spec: dict[str, Any],
        *,
        data_root: Path,
        resume_from: Path | None,
        inputs: Mapping[str, Path],
        control: Control,
        gpus: int,
    ) -> Iterator[Report]:
        """Raises what darts_core raises."""
