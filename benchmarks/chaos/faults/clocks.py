"""Steps the database's clock with libfaketime: forwards as after a suspend, backwards as after a correction."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from benchmarks.chaos.faults.fault import Fault, Target

_LIBRARY = "libfaketime.so.1"
_FOLDERS = ("/usr/lib", "/usr/local/lib", "/lib64")
_STEPS = (-3600.0, -30.0, 30.0, 3600.0)  # seconds


class ClockStep(Fault):
    """Sets the clock of Postgres off by one of four steps; the clock keeps running."""

    name = "clock_step"

    def __init__(self) -> None:
        self._offset = 0.0

    def missing(self) -> str:
        """The library is in the package faketime."""
        return "" if _library() else f"{_LIBRARY} is not installed (Debian, Ubuntu: apt install faketime)"

    def prepare(self, target: Target) -> None:
        """Restart Postgres with the library, which reads its offset from a file."""
        postgres = target.stack.processes["postgres"]
        self._file = target.data / "clock"
        self._tell()
        environment = {
            **postgres.command.environment,
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        postgres.command = replace(postgres.command, environment=environment)
        postgres.kill()

    def strike(self, target: Target, draw: random.Random) -> bool:
        self._offset += draw.choice(_STEPS)
        self._tell()
        return True

    def _tell(self) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{self._offset:+.0f}\n")
        aside.replace(self._file)


def _library() -> Path | None:
    found = (path for folder in _FOLDERS for path in Path(folder).glob(f"**/faketime/{_LIBRARY}"))
    return next(found, None)
