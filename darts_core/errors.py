"""What can go wrong in darts_core, by whose fault it is. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: the field's path and a sentence that says what is allowed."""

    loc: tuple[str | int, ...]
    msg: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.loc))}: {self.msg}" if self.loc else self.msg


class DartsError(Exception):
    """Base of every error that darts_core raises on purpose."""


class ConfigError(DartsError, ValueError):
    """A spec that cannot be run, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class GenotypeError(DartsError, ValueError):
    """A genotype that cannot be read or built; the message points at the bad entry."""


class DataError(DartsError):
    """The data cannot be used (missing, broken, too small). Trying again would not help."""


class OutOfMemory(DartsError):
    """The run needs more memory than its device has; the message says which batch would fit. Not to be tried again."""


class CheckpointError(DartsError):
    """A checkpoint that cannot be used: wrong format, wrong spec, or not safe to load."""


class Stopped(DartsError):
    """The control asked a training loop to stop between two steps; nothing of the open epoch is kept."""


class Diverged(DartsError):
    """Training left the finite numbers; the message names the epoch and the way out. Trying again would not help."""


class RankLost(DartsError):
    """One of the processes of a run on several devices has died. Trying again may help."""


class DrawingError(DartsError):
    """A picture that cannot be drawn: its layout program is missing, or its alphas are of another cell."""


class KernelError(DartsError):
    """A kernel for GPUs gives other numbers than torch's operations do."""
