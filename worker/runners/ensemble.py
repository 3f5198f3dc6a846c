"""Runs an ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darts_core.configs import EnsembleConfig, RnnEnsembleConfig
from darts_core.ensembles.images import run_ensemble
from darts_core.ensembles.report import EnsembleReport
from darts_core.ensembles.texts import run_text_ensemble
from darts_core.training.control import Control


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[EnsembleReport]:
    """One report, made on one device."""
    if spec["family"] == "rnn":
        return run_text_ensemble(RnnEnsembleConfig(**spec), inputs, data_root=data_root, control=control)
    return run_ensemble(EnsembleConfig(**spec), inputs, data_root=data_root, control=control)
