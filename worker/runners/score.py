"""Runs scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.schemas.scores import ScoreResult, TextScoreResult
from darts_core.errors import CheckpointError
from darts_core.families import family_in
from darts_core.scoring.images import ScoreReport
from darts_core.scoring.text import TextScoreReport
from darts_core.training.control import Control
from worker.runners.runner import Report


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[Report]:
    """One report, made on one device."""
    if "given.pt" not in inputs:
        raise CheckpointError("the checkpoint to measure is gone: queue a new score of another one")
    family = family_in(spec)
    config = family.measured["score"](**spec)
    for report in family.run("score", config, inputs["given.pt"], data_root=data_root, control=control):
        files = {"logits.safetensors": report.save}
        yield Report(report.epoch, report.metrics, report.seconds, files, {"result": _result(report)})


def _result(report: ScoreReport | TextScoreReport) -> ScoreResult | TextScoreResult:
    if isinstance(report, TextScoreReport):
        return TextScoreResult(
            words=len(report.targets), vocabulary=report.words, unknown=report.unknown, columns=report.columns
        )
    return ScoreResult(
        images=len(report.labels),
        classes=list(report.classes),
        per_class_accuracy=report.per_class,
        confusion=report.confusion,
    )
