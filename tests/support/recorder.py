"""A control that records a run, and stops it at a step."""

from __future__ import annotations

from pathlib import Path

from darts_core.files import checkpoints
from darts_core.training.control import Progress
from darts_core.training.reports import EpochReport

AT_EVERY_STEP = 1e-9
_NEVER = 10**9


class Recorder:
    """A control that remembers, and asks to stop after some questions, or from some step on."""

    def __init__(self, stop_after: int = _NEVER, *, stop_at: int = _NEVER) -> None:
        self.told: list[Progress] = []
        self.kept: list[checkpoints.Checkpoint] = []
        self.asked = 0
        self.stop_after = stop_after
        self.stop_at = stop_at

    def should_stop(self) -> bool:
        self.asked += 1
        return self.asked > self.stop_after or len(self.told) >= self.stop_at

    def progress(self, progress: Progress) -> None:
        self.told.append(progress)

    def keep(self, checkpoint: checkpoints.Checkpoint) -> None:
        self.kept.append(checkpoint)


def through_a_file(report: EpochReport, folder: Path) -> checkpoints.Checkpoint:
    checkpoints.save(report.checkpoint, folder / "c.pt")
    return checkpoints.read(folder / "c.pt")
