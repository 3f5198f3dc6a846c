"""What a training loop says after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from darts_core.files.checkpoints import Checkpoint, save
from darts_core.genotypes import AnyGenotype


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch, counted from 1. A snapshot: it shares no memory with the run or with other reports.

    metrics: losses in nats, accuracies in percent. genotype, alphas: of searches; alphas raw, on the CPU. checkpoint:
    enough to go on from here. stopped_early: why this is the last epoch, although the spec has more. warnings:
    sentences for the job's log.
    """

    epoch: int
    metrics: dict[str, float]
    seconds: float
    genotype: AnyGenotype | None
    alphas: dict[str, Tensor] | None
    checkpoint: Checkpoint
    stopped_early: str | None = None
    warnings: tuple[str, ...] = ()

    def save(self, path: Path) -> str:
        """Write the checkpoint, whole or not at all; gives the file's sha256. Raises OSError."""
        return save(self.checkpoint, path)
