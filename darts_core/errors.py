"""Exceptions of darts_core, by cause. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One invalid field of a spec: its path and a sentence that says which values are allowed."""

    loc: tuple[str | int, ...]
    msg: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.loc))}: {self.msg}" if self.loc else self.msg


class DartsError(Exception):
    """Base class of every exception that darts_core raises deliberately."""


class ConfigError(DartsError, ValueError):
    """An invalid spec, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class GenotypeError(DartsError, ValueError):
    """A genotype that cannot be parsed or built; the message names the bad edge or field."""


class DataError(DartsError):
    """The data are missing, broken or too small. Retrying does not help."""


class OutOfMemory(DartsError):
    """The run needs more memory than its device has; the message names a fitting batch size. Retrying does not help."""


class CheckpointError(DartsError):
    """An unusable checkpoint: wrong format, wrong spec, or unsafe to load."""


class Stopped(DartsError):
    """The control stopped a training loop between two steps; the partial epoch is discarded."""


class Diverged(DartsError):
    """Training produced a non-finite number; the message names the epoch and a remedy. Retrying does not help."""


class RankLost(DartsError):
    """A process of a multi-device run died. Retrying may help."""


class DrawingError(DartsError):
    """A picture cannot be drawn: the layout program is missing, or the alphas do not fit the genotype."""


class KernelError(DartsError):
    """A GPU kernel disagrees with torch's own operations."""
