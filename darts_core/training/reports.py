"""Reports the epochs of a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from darts_core.files.checkpoints import Checkpoint, save
from darts_core.genotypes import AnyGenotype, Strengths, parse_any


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch. A snapshot: it shares no memory with the run or with other reports.

    checkpoint: enough to go on from here. stopped_early: why this is the last epoch, although the spec has more.
    warnings: sentences for the job's log.
    """

    checkpoint: Checkpoint
    seconds: float
    stopped_early: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def epoch(self) -> int:
        """Counted from 1."""
        return self.checkpoint["epoch"]

    @property
    def metrics(self) -> dict[str, float]:
        """Losses in nats, accuracies in percent."""
        return self.checkpoint["metrics"]

    @property
    def genotype(self) -> AnyGenotype | None:
        """The cell that a search derives; None of an evaluation, whose spec has it."""
        if self.checkpoint["kind"] != "search":
            return None
        return parse_any(self.checkpoint["genotype"])

    @property
    def alphas(self) -> dict[str, Tensor] | None:
        """The raw alphas of a search, on the CPU."""
        return self.checkpoint.get("alphas")

    @property
    def strengths(self) -> Strengths | None:
        """The expected weights of a search's operations, by kind of cell; None of an evaluation."""
        return self.checkpoint.get("strengths")

    def save(self, path: Path) -> str:
        """Write the checkpoint, whole or not at all; gives the file's sha256. Raises OSError."""
        return save(self.checkpoint, path)
