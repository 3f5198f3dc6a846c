"""Runs a score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darts_core.configs import RnnScoreConfig, ScoreConfig
from darts_core.errors import CheckpointError
from darts_core.scoring.images import ScoreReport, run_score
from darts_core.scoring.text import TextScoreReport, run_text_score
from darts_core.training.control import Control


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[ScoreReport] | Iterator[TextScoreReport]:
    """One report, made on one device."""
    if "given.pt" not in inputs:
        raise CheckpointError("the checkpoint to measure is gone: queue a new score of another one")
    if spec["family"] == "rnn":
        return run_text_score(RnnScoreConfig(**spec), inputs["given.pt"], data_root=data_root, control=control)
    return run_score(ScoreConfig(**spec), inputs["given.pt"], data_root=data_root, control=control)
