"""What a worker has done so far, in a file of its state folder: the child that counts does not outlive its jobs."""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from api.schemas.worker import DeviceLoad
from worker.control import AttemptControl
from worker.heartbeat import HeartbeatThread
from worker.reporter import Reporter
from worker.threads import SupervisedThread

EPOCH_BUCKETS: Final = (0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_EVERY_SECONDS: Final = 1.0


class EpochTimes(BaseModel):
    """A histogram: `counts` by the buckets' upper bounds, and one beyond."""

    seconds: float = 0.0
    counts: list[int] = Field(default_factory=lambda: [0] * (len(EPOCH_BUCKETS) + 1))


class Figures(BaseModel):
    """Totals since the state folder was made; `waiting`: reports not delivered yet."""

    steps: int = 0
    heartbeats_failed: int = 0
    waiting: int = 0
    epochs: dict[str, EpochTimes] = Field(default_factory=dict)

    @classmethod
    def of(cls, state: Path) -> Figures:
        """Those of the worker with this folder; all 0 where it has none yet."""
        try:
            return cls.model_validate_json(_file(state).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def save(self, state: Path) -> None:
        """Replace the file. A full disk is for others to complain of."""
        _replace(_file(state), self.model_dump_json())


class Devices(BaseModel):
    """What the worker's main process last read of its devices; it does so for as long as it lives."""

    load: list[DeviceLoad] = Field(default_factory=list)

    @classmethod
    def of(cls, state: Path, since: float) -> Devices | None:
        """None when nothing was read since then (seconds since 1970)."""
        path = state / "devices.json"
        try:
            return cls.model_validate_json(path.read_bytes()) if path.stat().st_mtime >= since else None
        except (OSError, ValidationError):
            return None

    def save(self, state: Path) -> None:
        """Replace the file."""
        _replace(state / "devices.json", self.model_dump_json())


class FiguresThread(SupervisedThread):
    """Counts on beside one attempt, from where the one before left off."""

    def __init__(self, state: Path, control: AttemptControl, heartbeat: HeartbeatThread, reporter: Reporter) -> None:
        super().__init__("figures")
        self._state, self._before = state, Figures.of(state)
        self._control, self._heartbeat, self._reporter = control, heartbeat, reporter

    def epoch(self, kind: str, seconds: float) -> None:
        """One is done."""
        times = self._before.epochs.setdefault(kind, EpochTimes())
        times.seconds += seconds
        times.counts[bisect_left(EPOCH_BUCKETS, seconds)] += 1

    def end(self) -> None:
        """Write a last time."""
        self._over.set()
        self.join(timeout=5)

    def work(self) -> None:
        """Write every second until ended."""
        while not self._over.wait(_EVERY_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        before = self._before
        now = {
            "steps": before.steps + self._control.steps,
            "heartbeats_failed": before.heartbeats_failed + self._heartbeat.failed,
            "waiting": self._reporter.waiting,
        }
        before.model_copy(update=now).save(self._state)


def _file(state: Path) -> Path:
    return state / "figures.json"


def _replace(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        aside = path.with_suffix(".new")
        aside.write_text(text)
        aside.replace(path)
