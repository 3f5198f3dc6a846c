"""What the loops of all kinds and families share: going from epoch to epoch under the spec's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from darts_core.configs import AnyConfig
from darts_core.errors import Diverged, GenotypeError
from darts_core.training.determinism import repeatable
from darts_core.training.memory import explained
from darts_core.training.precision import computing
from darts_core.training.reports import EpochReport

Cell = TypeVar("Cell")


def reports(
    config: AnyConfig, device: torch.device, run_epoch: Callable[[int], EpochReport], *, after: int
) -> Iterator[EpochReport]:
    """The epochs behind `after`, each run when its report is asked for, up to the one that stops early."""
    for epoch in range(after + 1, config.epochs + 1):
        # Not around the yield: the consumer of the report must not run under our settings.
        with repeatable(config, device), computing(config, device), explained(config):
            report = run_epoch(epoch)
        yield report
        if report.stopped_early is not None:
            return


def derived(epoch: int, derive: Callable[[], Cell]) -> Cell:
    """The cell that a search stands at. Raises Diverged when its alphas are not finite any more."""
    try:
        return derive()
    except GenotypeError as error:
        raise Diverged(f"epoch {epoch}: the alphas are not finite any more; lower alpha_lr ({error})") from error


def tables(alphas: Mapping[str, Tensor]) -> dict[str, list[list[float]]]:
    """The same numbers as plain lists, for what knows no torch."""
    return {kind: table.tolist() for kind, table in alphas.items()}
